"""TextClassifier and what the modes of TaskGraphs do in it."""

import keras
import numpy as np
import pytest
from glomo_keras.models.task_graphs import MODES

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import arrays
from tests.models.small_models import inputs
from tests.models.small_models import small_predictor

TOLERANCE = 1e-5
PREDICTED = ("glomo", "glomo-rnn", "random")


def modes(*fast):
    """All modes; the others than these run with -m slow."""
    return [
        mode if mode in fast else pytest.param(mode, marks=pytest.mark.slow)
        for mode in MODES
    ]


def make_model(mode="none", predictor_options=(), **options):
    keras.utils.set_random_seed(3)
    predictor = small_predictor(**dict(predictor_options))
    predictor.vocabulary = list("abcdefghi")
    graphs = gk.models.TaskGraphs(mode, predictor, **options)
    features = {"word_ids": keras.layers.Embedding(9, 5, trainable=False)}
    return gk.models.TextClassifier(features, graphs, hidden_dim=4)


def make_inputs(model, **options):
    given = inputs(**options)
    given["word_ids"] = given["token_ids"]
    return {name: given[name] for name in model.input}


def logits_of(model, **options):
    return to_numpy(model(make_inputs(model, **options))["logits"])


def fit(model, epochs=1):
    model.compile(
        keras.optimizers.Adam(0.05, weight_decay=0.01),
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
    )
    labels = {"logits": np.array([0, 1])}
    model.fit(make_inputs(model), labels, epochs=epochs, verbose=0)


@pytest.mark.parametrize("mode", modes("none", "glomo", "uniform"))
def test_each_mode_reads_from_file(mode, tmp_path):
    model = make_model(mode, num_mixtures=2, conditioned=True, graph_layers=[2])
    assert ("token_ids" in model.input) == (mode in PREDICTED)
    has_graphs = mode not in ("none", "matched")
    assert (model.graphs.transfer is not None) == has_graphs
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    assert read.graphs.get_config() == model.graphs.get_config()
    if mode in PREDICTED:
        assert read.graphs.predictor.vocabulary == list("abcdefghi")
    np.testing.assert_allclose(logits_of(read), logits_of(model), atol=1e-6)


@pytest.mark.parametrize(
    "mode",
    [
        "glomo",
        *[pytest.param(x, marks=pytest.mark.slow) for x in PREDICTED[1:]],
    ],
)
def test_training_leaves_the_predictor_alone(mode):
    model = make_model(mode, {"dropout": 0.5})
    predictor = model.graphs.predictor
    before, others = arrays(predictor), model.get_weights()
    model.trainable = True  # what a fine-tuning user does
    model.features["word_ids"].trainable = False
    predictor.trainable = False
    fit(model, epochs=3)
    for old, new in zip(before, arrays(predictor), strict=True):
        np.testing.assert_array_equal(old, new)
    changed = sum(
        (old != new).any()
        for old, new in zip(others, model.get_weights(), strict=True)
    )
    assert changed == len(model.trainable_weights)


def test_the_predictor_runs_in_inference_mode_in_training():
    model = make_model("glomo", {"dropout": 0.5})
    features, graphs, mask = model.graphs.transferred[0]
    source = keras.Model(model.input, graphs)
    given = make_inputs(model)
    wanted = model.graphs.predictor.factored()(
        {k: given[k] for k in ("token_ids", "padding_mask")}, training=False
    )
    for training in (False, True):
        found = source(given, training=training)
        for name, factors in wanted.items():
            np.testing.assert_allclose(
                to_numpy(found[name]["keys"]),
                to_numpy(factors["keys"]),
                atol=TOLERANCE,
            )


@pytest.mark.parametrize("coupled", [True, False])
def test_chosen_graph_layers_are_those_of_the_predictor(coupled):
    predictor = small_predictor(coupled=coupled)
    graphs = gk.models.TaskGraphs("glomo", predictor, graph_layers=[2])
    given = inputs()
    found = graphs.graphs_of(given)
    expected = predictor.factored()(given)
    for name, factors in found.items():
        for factor in ("queries", "keys", "thresholds"):
            np.testing.assert_allclose(
                to_numpy(factors[factor]),
                to_numpy(expected[name][factor])[:, 1:2],
                atol=1e-6,
            )


def test_random_is_an_untrained_predictor_of_the_same_size():
    predictor = small_predictor()
    graphs = gk.models.TaskGraphs("random", predictor)
    shapes = [x.shape for x in arrays(graphs.predictor)]
    assert shapes == [x.shape for x in arrays(predictor)]
    same = [
        (one == two).all()
        for one, two in zip(
            arrays(predictor), arrays(graphs.predictor), strict=True
        )
    ]
    assert not all(same)


def test_the_place_of_the_graphs_decides_what_is_wider():
    widths = {}
    for mode in ("none", "glomo", "glomo-rnn"):
        model = make_model(mode, units=3)
        widths[mode] = (
            model.embedding_dropout.input.shape[-1],
            model.shortcut.input[0].shape[-1],
        )
    assert widths == {"none": (5, 8), "glomo": (8, 8), "glomo-rnn": (5, 11)}


@pytest.mark.parametrize("mode", modes("none", "glomo", "glomo-rnn"))
def test_padding_changes_nothing(mode):
    model = make_model(mode, num_mixtures=2)
    wanted = logits_of(model)
    given = make_inputs(model, units=11)
    for name, value in make_inputs(model).items():
        given[name][:, :7] = value
    given["padding_mask"][:, 7:] = False
    for name in set(given) - {"padding_mask"}:
        given[name][~given["padding_mask"]] = 3
    found = to_numpy(model(given)["logits"])
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE)


@pytest.mark.parametrize("mode", modes("none", "glomo"))
def test_texts_of_no_word_and_of_one_give_finite_logits_and_steps(mode):
    model = make_model(mode)
    found = logits_of(model, lengths=(0, 1))
    assert np.isfinite(found).all()
    given = make_inputs(model, lengths=(0, 1))
    model.compile(
        "adam",
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
    )
    model.train_on_batch(given, {"logits": np.array([0, 1])})
    assert all(np.isfinite(x).all() for x in model.get_weights())


def test_graphs_may_be_inputs(tmp_path):
    features = {"word_ids": keras.layers.Embedding(9, 5)}
    graphs = gk.models.GivenGraphs(2, 2, "states", conditioned=True)
    model = gk.models.TextClassifier(features, graphs, hidden_dim=4)
    given = inputs()
    predictor = small_predictor()
    arguments = {
        "word_ids": given["token_ids"],
        "padding_mask": given["padding_mask"],
        **{name: to_numpy(x) for name, x in predictor(given).items()},
    }
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        to_numpy(read(arguments)["logits"]),
        to_numpy(model(arguments)["logits"]),
        atol=1e-6,
    )


def test_policy_of_the_session_that_saved_is_kept(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        make_model("uniform").save(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    read = keras.saving.load_model(tmp_path / "model.keras")
    for layer in (read.rnn, read.graphs.transfer, read.pooling):
        assert layer.dtype_policy.name == "mixed_bfloat16"


def test_clones_and_parts_have_what_they_are_made_of(tmp_path):
    model = make_model("glomo")
    clone = keras.models.clone_model(model)
    shapes = [sorted(tuple(w.shape) for w in m.weights) for m in (clone, model)]
    assert shapes[0] == shapes[1]
    states = keras.Model(model.input, model.get_layer("pooling").output)
    states.save(tmp_path / "states.keras")
    read = keras.saving.load_model(tmp_path / "states.keras")
    given = make_inputs(model)
    np.testing.assert_allclose(
        to_numpy(read(given)), to_numpy(states(given)), atol=1e-6
    )


def test_eager_calls_leave_nothing_behind():
    graphs = gk.models.TaskGraphs("uniform")
    mask = keras.ops.ones((1, 3), "bool")
    for _ in range(2):
        given = graphs.graphs_of({"padding_mask": mask})
        graphs.on_embeddings(keras.ops.ones((1, 3, 4)), given, mask)
    assert graphs.transferred == []


def test_several_features_stand_side_by_side():
    features = {
        "word_ids": keras.layers.Embedding(9, 5),
        "token_ids": keras.layers.Embedding(9, 4),
    }
    model = gk.models.TextClassifier(features, hidden_dim=4)
    assert model.embedding_dropout.input.shape[-1] == 9


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="mode='glove'"):
        gk.models.TaskGraphs("glove")
    with pytest.raises(ValueError, match="predictor=None"):
        gk.models.TaskGraphs("glomo")
    with pytest.raises(ValueError, match="layers 1 to 2.*\\(0, 1\\)"):
        gk.models.TaskGraphs("glomo", small_predictor(), graph_layers=[0, 1])
    with pytest.raises(ValueError, match="name='words'"):
        gk.models.TextClassifier({"words": keras.layers.Embedding(9, 5)})
