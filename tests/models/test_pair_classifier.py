"""PairClassifier against ESIM in numpy, with each source of graphs."""

import functools

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests import reference
from tests.backends import to_numpy
from tests.models.small_models import arrays
from tests.models.small_models import graph_options
from tests.models.small_models import inputs
from tests.models.small_models import randomised

TOLERANCE = 1e-5
UNITS = {"premise": 7, "hypothesis": 5}
LENGTHS = {"premise": (7, 4), "hypothesis": (2, 5)}


def make_model(mode="none", self_attention=True, use_rnn=True, **options):
    keras.utils.set_random_seed(3)
    features = {"word_ids": keras.layers.Embedding(9, 5)}
    return gk.models.PairClassifier(
        features,
        hidden_dim=4,
        self_attention=self_attention,
        use_rnn=use_rnn,
        seed=1,
        **graph_options(mode, **options),
    )


SLOW_EMBEDDINGS = pytest.param("embeddings", marks=pytest.mark.slow)
SLOW_UNIFORM = pytest.param("uniform", marks=pytest.mark.slow)
SLOW_NONE = pytest.param("none", marks=pytest.mark.slow)
SLOW_FLOAT16 = pytest.param("mixed_float16", marks=pytest.mark.slow)


@functools.cache
def mixed_model(mode):
    """A model that tests look at and do not train."""
    return make_model(mode, num_mixtures=2, conditioned=True)


def make_inputs(model, lengths=LENGTHS):
    given = {}
    for seed, (text, units) in enumerate(UNITS.items()):
        one = inputs(units, lengths[text], seed)
        one["word_ids"] = one["token_ids"]
        given |= {f"{text}_{name}": value for name, value in one.items()}
    return {name: given[name] for name in model.input}


def logits_of(model, given=None):
    given = make_inputs(model) if given is None else given
    return to_numpy(model(given)["logits"])


def lstm(x, layer):
    """Keras' LSTM, gates i, f, c, o, over `(T, d)`."""
    kernel, recurrent_kernel, bias = (to_numpy(w) for w in layer.weights)
    h = c = np.zeros(len(recurrent_kernel))
    states = []
    for step in x:
        i, f, new, o = np.split(
            step @ kernel + h @ recurrent_kernel + bias, 4, -1
        )
        c = reference.sigmoid(f) * c + reference.sigmoid(i) * np.tanh(new)
        h = reference.sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def both_ways(x, layer):
    backward = lstm(x[::-1], layer.rnn.backward_layer)[::-1]
    return np.concatenate([lstm(x, layer.rnn.forward_layer), backward], -1)


def dense(x, layer):
    kernel, bias = (to_numpy(w) for w in layer.weights)
    return x @ kernel + bias


def esim(model, texts):
    """Logits of one pair of texts without padding, `(T,)` and `(S,)` ids."""
    table = to_numpy(model.features["word_ids"].embeddings)
    a, b = (table[ids] for ids in texts)
    if model.use_rnn:
        a, b = (both_ways(x, model.encoder) for x in (a, b))
    else:
        a, b = (np.maximum(dense(x, model.encoder), 0) for x in (a, b))
    e = a @ b.T
    pooled = []
    for x, y in (
        (a, reference.softmax(e) @ b),
        (b, reference.softmax(e.T) @ a),
    ):
        compared = np.concatenate([x, y, x * y, x - y], -1)
        z = np.maximum(dense(compared, model.projection), 0)
        if model.self_attention:
            attended = to_numpy(model.attention(z[None], z[None]))[0]
            z = z + np.maximum(dense(attended, model.attention_dense), 0)
        v = both_ways(z, model.composition) if model.use_rnn else z
        pooled += [v.mean(0), v.max(0)]
    hidden = np.tanh(dense(np.concatenate(pooled), model.hidden))
    return dense(hidden, model.classifier)


@pytest.mark.parametrize("use_rnn", [False, True])
@pytest.mark.parametrize("self_attention", [False, True])
def test_logits_equal_esim_in_numpy(self_attention, use_rnn):
    model = randomised(
        make_model(self_attention=self_attention, use_rnn=use_rnn)
    )
    given = make_inputs(model)
    found = logits_of(model, given)
    for index in range(2):
        texts = [
            given[f"{text}_word_ids"][index, : LENGTHS[text][index]]
            for text in UNITS
        ]
        np.testing.assert_allclose(
            found[index], esim(model, texts), atol=TOLERANCE
        )


def test_layers_are_made_in_the_order_of_earlier_versions():
    """Their order decides what a seed draws, and how states are stored."""
    layers = [weight.path.split("/")[0] for weight in make_model().weights]
    assert [*dict.fromkeys(layers)][1:] == [  # after the features
        "encoder",
        "projection",
        "self_attention",
        "self_attention_dense",
        "composition",
        "hidden",
        "classifier",
    ]


def test_parameters_are_those_of_esim_and_its_self_attention():
    def count(**options):
        features = {"word_ids": keras.layers.Embedding(10, 300)}
        model = gk.models.PairClassifier(features, **options)
        return model.count_params() - 3000

    assert count(self_attention=False) == 4_326_303
    assert count() == 4_326_303 + 361_200


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["none", "embeddings", "states", "uniform"])
def test_each_mode_reads_from_file(mode, tmp_path):
    model = mixed_model(mode)
    predicted = mode in ("embeddings", "states")
    assert ("premise_token_ids" in model.input) == predicted
    assert (model.transfer is not None) == (mode != "none")
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    given = make_inputs(model)
    np.testing.assert_allclose(
        logits_of(read, given), logits_of(model, given), atol=1e-6
    )


@pytest.mark.parametrize("mode", ["none", "embeddings"])
def test_without_rnn_only_graphs_know_the_order_of_words(mode, tmp_path):
    model = make_model(mode, use_rnn=False)
    given = make_inputs(model, {"premise": (7, 7), "hypothesis": (5, 5)})
    wanted = logits_of(model, given)
    turned = {key: value[:, ::-1].copy() for key, value in given.items()}
    found = logits_of(model, turned)
    assert np.allclose(found, wanted, atol=TOLERANCE) == (mode == "none")
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    assert not any("lstm" in weight.path for weight in read.weights)
    np.testing.assert_allclose(logits_of(read, given), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "mode", [SLOW_NONE, SLOW_EMBEDDINGS, "states", SLOW_UNIFORM]
)
def test_padding_changes_nothing(mode):
    model = mixed_model(mode)
    given = make_inputs(model, {"premise": (7, 0), "hypothesis": (2, 5)})
    wanted = logits_of(model, given)
    for name, value in given.items():
        given[name] = np.pad(value, ((0, 0), (0, 3)))
    for name in set(given) - {f"{text}_padding_mask" for text in UNITS}:
        mask = given[name.split("_")[0] + "_padding_mask"]
        given[name][~mask] = 3
    np.testing.assert_allclose(logits_of(model, given), wanted, atol=TOLERANCE)


def test_padding_on_the_left_changes_nothing():
    model = mixed_model("none")
    given = make_inputs(model)
    wanted = logits_of(model, given)
    padded = {
        name: np.pad(value, ((0, 0), (3, 0)), constant_values=5)
        for name, value in given.items()
    }
    for text in UNITS:
        padded[f"{text}_padding_mask"][:, :3] = False
    np.testing.assert_allclose(logits_of(model, padded), wanted, atol=TOLERANCE)


@pytest.mark.parametrize("mode", [SLOW_EMBEDDINGS, "states"])
def test_training_leaves_the_predictor_alone(mode):
    model = make_model(mode)
    before, others = arrays(model.graphs.predictor), model.get_weights()
    compile_model(model)
    labels = {"logits": np.array([0, 2])}
    model.fit(make_inputs(model), labels, verbose=0)
    for old, new in zip(before, arrays(model.graphs.predictor), strict=True):
        np.testing.assert_array_equal(old, new)
    changed = sum(
        (old != new).any()
        for old, new in zip(others, model.get_weights(), strict=True)
    )
    assert changed == len(model.trainable_weights)


def compile_model(model):
    model.compile(
        keras.optimizers.Adam(0.05),
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
        run_eagerly=True,  # to compile takes longer than a few steps
    )


@pytest.mark.parametrize("mode", [SLOW_NONE, "states"])
def test_texts_of_no_word_and_of_one_give_finite_logits_and_steps(mode):
    model = make_model(mode)
    given = make_inputs(model, {"premise": (0, 1), "hypothesis": (3, 0)})
    assert np.isfinite(logits_of(model, given)).all()
    compile_model(model)
    model.train_on_batch(given, {"logits": np.array([0, 1])})
    assert all(np.isfinite(x).all() for x in model.get_weights())


def test_both_texts_share_graphs_of_one_predictor_and_one_transfer():
    model = make_model("embeddings")
    assert [x for x in model.layers if x is model.transfer] == [model.transfer]
    given = make_inputs(model)
    for text, units in UNITS.items():
        parts = model.graph_inputs(text)(given)
        assert tuple(parts["features"].shape) == (2, units, 5)
        expected = model.graphs.predictor.factored()(
            {
                name: given[f"{text}_{name}"]
                for name in ("token_ids", "padding_mask")
            }
        )["backward_graphs"]
        np.testing.assert_allclose(
            to_numpy(parts["graphs"]["backward_graphs"]["future_keys"]),
            to_numpy(expected["future_keys"]),
            atol=TOLERANCE,
        )


@pytest.mark.slow
def test_the_place_of_the_graphs_decides_what_is_wider():
    widths = {}
    for mode in ("embeddings", "states"):
        model = make_model(mode, units=3)
        widths[mode] = [
            to_numpy(layer.weights[0]).shape[0]
            for layer in (model.encoder, model.projection)
        ]
    assert widths == {
        "embeddings": [8, 4 * 8],
        "states": [5, 4 * 11],
    }


@pytest.mark.parametrize("policy", ["mixed_bfloat16", SLOW_FLOAT16])
def test_logits_are_float32_in_mixed_precision(policy):
    features = {"word_ids": keras.layers.Embedding(9, 5, dtype=policy)}
    model = gk.models.PairClassifier(features, hidden_dim=4, dtype=policy)
    found = model(make_inputs(model))["logits"]
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert model.encoder.compute_dtype == policy.split("_")[1]
    again = gk.models.PairClassifier.from_config(model.get_config())
    assert again.encoder.compute_dtype == model.encoder.compute_dtype


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a positive integer"),
        ({"hidden_dim": 0}, "`hidden_dim` must be a positive integer"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ({"placement": "states", "use_rnn": False}, "needs the RNN"),
    ],
)
def test_wrong_options_are_refused(options, message):
    features = {"word_ids": keras.layers.Embedding(9, 5)}
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        gk.models.PairClassifier(features, **options)


def test_alignment_weights_give_what_the_model_compares():
    model = randomised(make_model())
    given = make_inputs(model)
    weights = to_numpy(model.alignment_weights()(given))
    mask = {text: given[f"{text}_padding_mask"] for text in UNITS}
    premise, hypothesis = weights["premise"], weights["hypothesis"]
    assert premise.shape == (2, 7, 5) and hypothesis.shape == (2, 5, 7)
    np.testing.assert_allclose(premise.sum(2), 1, atol=TOLERANCE)
    assert np.all(premise[~np.broadcast_to(
        mask["hypothesis"][:, None], premise.shape)] == 0)  # fmt: skip
    # Both are softmaxes of the same scores e: log p - log h = f(i) - g(j).
    one, two = premise[0, :, :2], hypothesis[0, :2].T
    ratio = np.log(one) - np.log(two)
    np.testing.assert_allclose(
        ratio - ratio[:1] - ratio[:, :1] + ratio[0, 0], 0, atol=1e-4
    )
