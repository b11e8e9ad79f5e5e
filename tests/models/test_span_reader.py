"""SpanReader with each source of graphs.

Its numbers are tested in `tests/recipes/convert/test_squad.py`.
"""

import functools

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import arrays
from tests.models.small_models import graph_options
from tests.models.small_models import inputs
from tests.models.small_models import randomised

TOLERANCE = 1e-5
UNITS = {"context": 7, "question": 5}
LENGTHS = {"context": (7, 4), "question": (2, 5)}
NAMES = ("start_logits", "end_logits")


def make_reader(mode="none", **options):
    keras.utils.set_random_seed(3)
    features = {"word_ids": keras.layers.Embedding(9, 6)}
    options = {"num_letters": 9, "letter_filters": 4, "seed": 1, **options}
    transfer = {"num_mixtures": 2, "conditioned": True}
    if mode == "given":
        options["graphs"] = gk.models.GivenGraphs(2, 3)
        options["transfer"] = gk.layers.GraphTransfer(**transfer)
    else:
        options |= graph_options(mode, **transfer)
    return gk.models.SpanReader(features, hidden_dim=3, **options)


@functools.cache
def random_reader(mode):
    """A reader that tests look at and do not train."""
    return randomised(make_reader(mode))


def make_inputs(model, lengths=LENGTHS, units=UNITS):
    given = {}
    for seed, text in enumerate(UNITS):
        one = inputs(units[text], lengths[text], seed)
        rng = np.random.default_rng(seed)
        one["word_ids"] = one["token_ids"]
        one["letter_ids"] = rng.integers(0, 9, (2, units[text], 16))
        real = one["padding_mask"]
        pairs = real[:, None, None, :, None] & real[:, None, None, None]
        shape = (2, 2, 3, units[text], units[text])
        for name in ("forward_graphs", "backward_graphs"):
            one[name] = (rng.random(shape) * pairs).astype("float32")
        given |= {f"{text}_{name}": value for name, value in one.items()}
    return {name: given[name] for name in model.input}


SLOW_EMBEDDINGS = pytest.param("embeddings", marks=pytest.mark.slow)
SLOW_UNIFORM = pytest.param("uniform", marks=pytest.mark.slow)
SLOW_GIVEN = pytest.param("given", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("none", marks=pytest.mark.slow),
        SLOW_EMBEDDINGS,
        "states",
        SLOW_UNIFORM,
    ],
)
def test_padding_changes_no_logit(mode):
    model = random_reader(mode)
    given = make_inputs(model)
    before = to_numpy(model(given))
    padding = {text: ~given[f"{text}_padding_mask"] for text in UNITS}
    for text, padded in padding.items():
        for name in ("word_ids", "letter_ids", "token_ids"):
            if f"{text}_{name}" in given:
                given[f"{text}_{name}"][padded] = 8
    after = to_numpy(model(given))
    more = {k: _with_padding(v, k.endswith("graphs")) for k, v in given.items()}
    longer = to_numpy(model(more))
    for name in NAMES:
        np.testing.assert_allclose(after[name], before[name], atol=TOLERANCE)
        np.testing.assert_allclose(
            longer[name][:, :7], before[name], atol=TOLERANCE
        )
        assert np.all(longer[name][:, 7:] == np.float32(-1e30))


def _with_padding(array, square):
    axes = {3, 4} if square else {1}
    return np.pad(
        array, [(0, 3 * (axis in axes)) for axis in range(array.ndim)]
    )


@pytest.mark.parametrize("mode", ["states", SLOW_UNIFORM, SLOW_GIVEN])
def test_file_gives_the_same_reader(mode, tmp_path):
    model = random_reader(mode)
    model.save(tmp_path / "reader.keras")
    loaded = keras.models.load_model(tmp_path / "reader.keras")
    assert loaded.placement == model.placement
    given = make_inputs(model)
    expected = to_numpy(model(given))
    for name, values in to_numpy(loaded(given)).items():
        np.testing.assert_allclose(values, expected[name], atol=TOLERANCE)


@pytest.mark.parametrize("units", [2, 9])
def test_only_the_gated_part_of_the_question_is_pooled(units):
    """It is as wide as the transfer's `units`, not as the GRUs' states."""
    transfer = gk.layers.GraphTransfer(units=units)
    model = make_reader("states")
    model = make_reader(
        graphs=model.graphs, placement="states", transfer=transfer
    )
    pooled = model.question_pooling.hidden_dense.kernel
    assert pooled.shape[0] == units


def test_training_leaves_the_predictor_and_trains_the_rest():
    # Dropout, which differs by backend, could zero all units of a layer.
    model = randomised(make_reader("states", dropout=0.0))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", dict.fromkeys(NAMES, loss), run_eagerly=True)
    before, frozen = arrays(model), arrays(model.graphs.predictor)
    targets = {"start_logits": np.array([1, 0]), "end_logits": np.array([6, 3])}
    history = model.fit(make_inputs(model), targets, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    for old, new in zip(frozen, arrays(model.graphs.predictor), strict=True):
        np.testing.assert_array_equal(old, new)
    same = {
        weight.path
        for weight, old, new in zip(
            model.weights, before, arrays(model), strict=True
        )
        if np.array_equal(old, new)
    }
    trained = {weight.path for weight in model.trainable_weights}
    assert same & trained == set()
    assert len(trained) < len(model.weights)


@pytest.mark.parametrize(
    ("placement", "parameters"),
    [
        (None, 631_672),  # the facts say 0.63 M
        ("embeddings", 1_717_236),  # 1.72 M
        ("states", 934_164),  # 0.93 M
    ],
)
def test_parameters_are_those_of_the_released_model(placement, parameters):
    options = {}
    if placement is not None:
        options = {
            "graphs": gk.models.GivenGraphs(3, 8),
            "transfer": gk.layers.GraphTransfer(2, conditioned=True),
            "placement": placement,
        }
    words = keras.layers.Embedding(50, 300, trainable=False)
    model = gk.models.SpanReader(
        {"word_ids": words}, num_letters=100, **options
    )
    assert model.count_params() - 50 * 300 == parameters


@pytest.mark.parametrize(
    "mode", [pytest.param("none", marks=pytest.mark.slow), "states"]
)
@pytest.mark.parametrize("lengths", [(0, 1), (7, 0)])
def test_texts_of_one_word_or_none_give_finite_logits(mode, lengths):
    model = random_reader(mode)
    given = make_inputs(model, {"context": lengths, "question": lengths})
    for values in to_numpy(model(given)).values():
        assert np.all(np.isfinite(values))


def test_reader_works_without_letters_and_in_bfloat16():
    model = make_reader(num_letters=None, dtype="mixed_bfloat16")
    assert "context_letter_ids" not in model.input
    logits = model(make_inputs(model))
    for values in logits.values():
        assert keras.backend.standardize_dtype(values.dtype) == "float32"


def test_targets_and_losses_without_names_are_refused():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = make_reader()
    given, rows = make_inputs(model), np.array([0, 1])
    named = dict.fromkeys(NAMES, rows)
    model.compile("adam", loss)
    for targets in ((rows, rows), [rows, rows]):
        for method in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match="Received: targets of type "):
                method(given, targets, verbose=0)
    for name, value in (
        ("loss", [loss, loss]),
        ("loss_weights", [1.0, 0.0]),
        ("metrics", ["sparse_categorical_accuracy"] * 2),
        ("weighted_metrics", ["sparse_categorical_accuracy"] * 2),
    ):
        model.compile("adam", **{"loss": loss, name: value})
        with pytest.raises(ValueError, match=f"Received: {name} of type list"):
            model.fit(given, named, verbose=0)


def test_loss_of_a_model_that_is_not_compiled_asks_for_one():
    model = make_reader()
    outputs = dict.fromkeys(NAMES, np.zeros((2, 3), "float32"))
    rows = dict.fromkeys(NAMES, np.array([0, 1]))
    with pytest.raises(ValueError, match="compile"):
        model.compute_loss(y=rows, y_pred=outputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_reader(dropout=1.0), "`dropout` must be"),
        (lambda: make_reader(feature_dropout=-1), "`feature_dropout`"),
        (lambda: make_reader(letter_filters=0), "`filters` must be"),
        (lambda: make_reader(num_letters=0), "`num_letters` must be"),
        (lambda: gk.models.GivenGraphs(0, 3), "`num_layers` must be"),
        (lambda: make_reader(placement="x"), "`placement` must be one of"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        make()
