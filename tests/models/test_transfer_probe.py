import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import inputs
from tests.models.small_models import small_predictor

VOCABULARY = 9


def probe(graphs=None, **kwargs):
    keras.utils.set_random_seed(0)
    kwargs = {"embedding_dim": 6, "seed": 0, **kwargs}
    return gk.models.TransferProbe(VOCABULARY, graphs, **kwargs)


SOURCES = {
    "none": lambda: None,
    "uniform": gk.layers.UniformGraph,
    "decay": lambda: gk.layers.DistanceDecayGraph(2, 2),
    "predicted": lambda: gk.models.PredictedGraphs(
        small_predictor(num_conv_layers=1, num_graph_layers=1)
    ),
}


@pytest.mark.parametrize("source", ["none", "predicted"])
def test_loss_of_fresh_weights_is_about_that_of_guessing(source):
    losses = to_numpy(probe(SOURCES[source]())(inputs()))
    for name in ("loss", "forward_loss", "backward_loss"):
        assert abs(losses[name] - np.log(VOCABULARY)) < 0.5


def test_all_sources_start_from_the_same_fresh_weights():
    started = []
    for source in ("decay", "predicted"):
        model = probe(
            SOURCES[source](), transfer=gk.layers.GraphTransfer(units=3)
        )
        model(inputs())
        started.append(
            [
                to_numpy(w)
                for layer in (
                    model.token_embedding,
                    *model.decoders.values(),
                    *model.outputs_dense.values(),
                )
                for w in layer.weights
            ]
        )
    for other in started[1:]:
        for a, b in zip(started[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_source_is_not_trained():
    source = SOURCES["predicted"]()
    model = probe(source)
    before = [to_numpy(w) for w in source.weights]
    model.compile("adam", run_eagerly=True)
    model.fit(inputs(), batch_size=2, verbose=0)
    for a, b in zip(before, source.weights, strict=True):
        np.testing.assert_array_equal(a, to_numpy(b))
    assert not source.trainable_weights


def test_no_direction_sees_the_words_it_predicts():
    model = probe(SOURCES["predicted"]())
    x = inputs(lengths=(7,))
    features = to_numpy(model.features(x))
    changed = {**x, "token_ids": x["token_ids"].copy()}
    changed["token_ids"][0, 4] = (x["token_ids"][0, 4] + 1) % VOCABULARY
    others = to_numpy(model.features(changed))
    for direction, same in (("forward", slice(4)), ("backward", slice(5, 7))):
        one, two = features[direction], others[direction]
        np.testing.assert_array_equal(one[0, same], two[0, same])
        assert np.abs(one - two).max() > 1e-4


def test_padding_changes_nothing():
    model = probe(SOURCES["predicted"]())
    x = inputs()
    expected = to_numpy(model(x))
    longer = {
        name: np.pad(values, ((0, 0), (0, 3))) for name, values in x.items()
    }
    for name, loss in to_numpy(model(longer)).items():
        np.testing.assert_allclose(loss, expected[name], atol=1e-5)


def test_word_vectors_take_the_place_of_the_embedding():
    table = np.random.default_rng(0).normal(size=(VOCABULARY, 4))
    vectors = keras.layers.Embedding(
        VOCABULARY,
        4,
        embeddings_initializer=keras.initializers.Constant(table.tolist()),
        trainable=False,
    )
    model = probe(SOURCES["uniform"](), vectors=vectors)
    model.compile("adam", run_eagerly=True)
    history = model.fit(inputs(), verbose=0).history
    assert np.isfinite(history["loss"][0])
    np.testing.assert_allclose(to_numpy(vectors.embeddings), table, rtol=1e-6)


def test_one_direction_has_one_loss():
    model = probe(SOURCES["predicted"](), directions=("backward",))
    losses = {"loss", "backward_loss", "backward_count"}
    assert set(model(inputs())) == losses


def test_config_gives_the_same_model():
    model = probe(SOURCES["decay"](), transfer=gk.layers.GraphTransfer(units=3))
    again = gk.models.TransferProbe.from_config(model.get_config())
    expected = to_numpy(model(inputs()))
    again(inputs())
    again.set_weights(model.get_weights())
    for name, loss in to_numpy(again(inputs())).items():
        np.testing.assert_allclose(loss, expected[name], rtol=1e-6)


def test_directions_are_checked():
    with pytest.raises(ValueError, match="directions='sideways'"):
        probe(directions=("sideways",))
    for directions in ((), ("forward", "forward")):
        with pytest.raises(ValueError, match="each once.*directions="):
            probe(directions=directions)


def test_graphs_of_other_inputs_are_refused():
    given = gk.models.GivenGraphs(2, 2)
    with pytest.raises(ValueError, match="made from forward_graphs"):
        probe(given)


def test_graphs_that_show_what_is_predicted_are_refused():
    with pytest.raises(ValueError, match="one-sided.*Received: edges='all'"):
        probe(gk.layers.UniformGraph("all"), directions=("forward",))
    with pytest.raises(ValueError, match="must give backward_graphs"):
        probe(gk.layers.DistanceDecayGraph(directions=("forward",)))
