"""TextClassifier, and what sources, transfer and placement do in it."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import GRAPHS
from tests.models.small_models import arrays
from tests.models.small_models import coupled_predictor
from tests.models.small_models import graph_options
from tests.models.small_models import inputs
from tests.models.small_models import randomised
from tests.models.small_models import small_predictor

TOLERANCE = 1e-5
PREDICTED = ("embeddings", "states")


def slow_but(*fast):
    """All of `GRAPHS`; the others than these run with -m slow."""
    return [
        name if name in fast else pytest.param(name, marks=pytest.mark.slow)
        for name in GRAPHS
    ]


def make_model(name="none", predictor_options=(), use_rnn=True, **options):
    keras.utils.set_random_seed(3)
    predictor = small_predictor(num_conv_layers=1, **dict(predictor_options))
    predictor.vocabulary = list("abcdefghi")
    features = {"word_ids": keras.layers.Embedding(9, 5, trainable=False)}
    options = graph_options(name, predictor, **options)
    return gk.models.TextClassifier(
        features, hidden_dim=4, use_rnn=use_rnn, **options
    )


def make_inputs(model, **options):
    given = inputs(**options)
    given["word_ids"] = given["token_ids"]
    return {name: given[name] for name in model.input}


def logits_of(model, **options):
    return to_numpy(model(make_inputs(model, **options))["logits"])


def fit(model, **kwargs):
    model.compile(
        keras.optimizers.Adam(0.05, weight_decay=0.01),
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
        **kwargs,
    )
    labels = {"logits": np.array([0, 1])}
    model.fit(make_inputs(model), labels, verbose=0)


@pytest.mark.parametrize("name", slow_but("embeddings"))
def test_file_gives_the_same_model(name, tmp_path):
    options = {"graph_layers": [2]} if name in PREDICTED else {}
    model = make_model(name, num_mixtures=2, conditioned=True, **options)
    assert ("token_ids" in model.input) == (name in PREDICTED)
    assert (model.transfer is not None) == (name != "none")
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    if name in PREDICTED:
        assert read.graphs.predictor.vocabulary == list("abcdefghi")
        assert read.graphs.graph_layers == (2,)
    np.testing.assert_allclose(logits_of(read), logits_of(model), atol=1e-6)


@pytest.mark.parametrize(
    "frozen", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_training_leaves_the_predictor_alone(frozen):
    predictor = small_predictor(
        dropout=0.5, num_conv_layers=1, num_graph_layers=1
    )
    predictor.trainable = not frozen
    model = gk.models.TextClassifier(
        {"word_ids": keras.layers.Embedding(9, 5)},
        gk.models.PredictedGraphs(predictor),
        hidden_dim=4,
    )
    model.trainable = True  # what a fine-tuning user does
    assert predictor.trainable is not frozen
    assert bool(predictor.trainable_weights) is not frozen
    assert not model.graphs.trainable_weights
    before, others = arrays(model.graphs.predictor), model.get_weights()
    fit(model, run_eagerly=frozen)  # traced in one case
    for one in (predictor, model.graphs.predictor):
        for old, new in zip(before, arrays(one), strict=True):
            np.testing.assert_array_equal(old, new)
    changed = sum(
        (old != new).any()
        for old, new in zip(others, model.get_weights(), strict=True)
    )
    assert changed == len(model.trainable_weights)


def test_predictor_runs_in_inference_mode_in_training():
    model = make_model("embeddings", {"dropout": 0.5})
    given = make_inputs(model)
    source = model.graph_inputs()
    wanted = model.graphs.predictor.factored()(
        {k: given[k] for k in ("token_ids", "padding_mask")}, training=False
    )
    for training in (False, True):
        found = source(given, training=training)["graphs"]
        for key, factors in wanted.items():
            for factor, values in factors.items():
                np.testing.assert_allclose(
                    to_numpy(found[key][factor]),
                    to_numpy(values),
                    atol=TOLERANCE,
                )


def test_float32_predictor_serves_a_model_of_mixed_precision():
    predictor = small_predictor()
    given = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs())
    expected = to_numpy(gk.models.PredictedGraphs(predictor)(given))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = to_numpy(gk.models.PredictedGraphs(predictor)(given))
    finally:
        keras.config.set_dtype_policy("float32")
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize(
    "coupled", [pytest.param(True, marks=pytest.mark.slow), False]
)
def test_chosen_graph_layers_are_those_of_the_predictor(coupled):
    predictor = (
        randomised(coupled_predictor()) if coupled else small_predictor()
    )
    given = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs())
    found = gk.models.PredictedGraphs(predictor, graph_layers=[2])(given)
    expected = predictor.factored()(given)
    for key, factors in found.items():
        for factor in set(factors) - {"padding_mask"}:
            np.testing.assert_allclose(
                to_numpy(factors[factor]),
                to_numpy(expected[key][factor])[:, 1:2],
                atol=TOLERANCE,
            )


@pytest.mark.parametrize(
    "activation", [pytest.param("square", marks=pytest.mark.slow), "softmax"]
)
def test_graphs_of_an_ablation_come_as_tensors(activation):
    predictor = small_predictor(activation=activation)
    given = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs())
    found = gk.models.PredictedGraphs(predictor)(given)
    for key, graph in predictor(given).items():
        np.testing.assert_allclose(
            to_numpy(found[key]), to_numpy(graph), atol=TOLERANCE
        )


@pytest.mark.parametrize(
    "placement",
    ["embeddings", pytest.param("states", marks=pytest.mark.slow)],
)
def test_graph_inputs_are_what_the_transfer_gets(placement):
    model = make_model(placement, units=3)
    given = make_inputs(model)
    parts = model.graph_inputs()(given)
    fused = model.transfer(parts["features"], parts["graphs"])
    place = {"embeddings": model.embedding_dropout, "states": model.shortcut}
    after = keras.tree.flatten(place[placement].input)[0]
    np.testing.assert_allclose(
        to_numpy(fused),
        to_numpy(keras.Model(model.input, after)(given)),
        atol=TOLERANCE,
    )
    with pytest.raises(ValueError, match="no graphs"):
        make_model().graph_inputs()


@pytest.mark.slow
def test_the_place_of_the_graphs_decides_what_is_wider():
    widths = {}
    for name in ("embeddings", "states"):
        model = make_model(name, units=3)
        widths[name] = (
            model.embedding_dropout.input.shape[-1],
            model.shortcut.input[0].shape[-1],
        )
    assert widths == {
        "embeddings": (8, 8),
        "states": (5, 11),
    }


@pytest.mark.parametrize("name", slow_but("states"))
def test_padding_changes_nothing(name):
    model = make_model(name, num_mixtures=2)
    wanted = logits_of(model)
    given = make_inputs(model, length=11)
    for key, value in make_inputs(model).items():
        given[key][:, :7] = value
    given["padding_mask"][:, 7:] = False
    for key in set(given) - {"padding_mask"}:
        given[key][~given["padding_mask"]] = 3
    found = to_numpy(model(given)["logits"])
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE)


@pytest.mark.parametrize("name", slow_but("embeddings"))
def test_texts_of_no_word_and_of_one_give_finite_logits_and_steps(name):
    model = make_model(name)
    found = logits_of(model, lengths=(0, 1))
    assert np.isfinite(found).all()
    given = make_inputs(model, lengths=(0, 1))
    model.compile(
        "adam",
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
        run_eagerly=True,
    )
    model.train_on_batch(given, {"logits": np.array([0, 1])})
    assert all(np.isfinite(x).all() for x in model.get_weights())


def test_graphs_may_be_inputs(tmp_path):
    features = {"word_ids": keras.layers.Embedding(9, 5)}
    model = gk.models.TextClassifier(
        features,
        gk.models.GivenGraphs(2, 2),
        gk.layers.GraphTransfer(conditioned=True),
        "states",
        hidden_dim=4,
    )
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
    for layer in (read.rnn, read.transfer, read.pooling):
        assert layer.dtype_policy.name == "mixed_bfloat16"


def test_part_of_a_model_is_saved_and_read(tmp_path):
    model = make_model("embeddings")
    states = keras.Model(model.input, model.get_layer("pooling").output)
    states.save(tmp_path / "states.keras")
    read = keras.saving.load_model(tmp_path / "states.keras")
    given = make_inputs(model)
    np.testing.assert_allclose(
        to_numpy(read(given)), to_numpy(states(given)), atol=1e-6
    )


@pytest.mark.parametrize("name", ["none", "embeddings"])
def test_without_rnn_only_graphs_know_the_order_of_words(name, tmp_path):
    model = make_model(name, use_rnn=False)
    given = make_inputs(model, lengths=(7, 7))
    turned = {key: value[:, ::-1].copy() for key, value in given.items()}
    wanted, found = (to_numpy(model(x)["logits"]) for x in (given, turned))
    assert np.allclose(found, wanted, atol=TOLERANCE) == (name == "none")
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    assert not any("rnn" in weight.path for weight in read.weights)
    np.testing.assert_allclose(
        to_numpy(read(given)["logits"]), wanted, atol=1e-6
    )


def test_several_features_stand_side_by_side():
    features = {
        "word_ids": keras.layers.Embedding(9, 5),
        "token_ids": keras.layers.Embedding(9, 4),
    }
    model = gk.models.TextClassifier(features, hidden_dim=4)
    assert model.embedding_dropout.input.shape[-1] == 9


def test_wrong_arguments_are_named():
    features = {"word_ids": keras.layers.Embedding(9, 5)}
    with pytest.raises(ValueError, match="placement='middle'"):
        gk.models.TextClassifier(features, placement="middle")
    with pytest.raises(ValueError, match="give `graphs` too.*graphs=None"):
        gk.models.TextClassifier(features, transfer=gk.layers.GraphTransfer())
    with pytest.raises(ValueError, match="placement='states', use_rnn=False"):
        make_model("states", use_rnn=False)
    with pytest.raises(ValueError, match="`text` must be.*text='premise'"):
        make_model("uniform").graph_inputs("premise")
    with pytest.raises(ValueError, match="name='words'"):
        gk.models.TextClassifier({"words": keras.layers.Embedding(9, 5)})


@pytest.mark.parametrize("wrong", [[0, 1], [1, 1], [1.0]])
def test_numbers_of_graph_layers_are_checked(wrong):
    with pytest.raises(ValueError, match="different numbers from 1 to 2.*=\\["):
        gk.models.PredictedGraphs(small_predictor(), graph_layers=wrong)
