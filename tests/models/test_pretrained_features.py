"""PretrainedFeatures: the feature predictor as a language model."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.layers.run_layer_test import run_layer_test
from tests.models.small_models import arrays
from tests.models.small_models import inputs
from tests.models.small_models import small_pretrainer

TOLERANCE = 1e-5
PRETRAINERS = {
    "slices": {},
    "values": {"messages": "values"},
    "mixture": {"messages": "mixture"},
    "coupled": {"coupled": True},
    "softmax": {"activation": "softmax"},
}


def make_layer(pretrainer, **kwargs):
    return gk.models.PretrainedFeatures(
        pretrainer.graph_predictor, pretrainer.feature_predictor, **kwargs
    )


def make_model(pretrainer, graphs=False):
    keras.utils.set_random_seed(3)
    features = {
        "word_ids": keras.layers.Embedding(9, 5),
        "token_ids": make_layer(pretrainer),
    }
    source = None
    if graphs:
        source = gk.models.PredictedGraphs(pretrainer.graph_predictor)
    return gk.models.TokenClassifier(features, source)


def make_inputs():
    return {**inputs(), "word_ids": inputs()["token_ids"]}


@pytest.mark.slow
def test_layer(tmp_path):
    layer = make_layer(small_pretrainer(), normalize=True)
    run_layer_test(
        lambda: layer,
        {},
        {"inputs": inputs()},
        tmp_path,
        (2, 7, 16),
        len(layer.networks.graph_predictor.weights)
        + len(layer.networks.feature_predictor.weights)
        + 2,
    )


@pytest.mark.parametrize("name", PRETRAINERS)
def test_output_is_the_mix_of_the_layers_of_f(name):
    pretrainer = small_pretrainer(**PRETRAINERS[name])
    layer, given = make_layer(pretrainer), inputs()
    outputs = to_numpy(layer(given))
    found = to_numpy(pretrainer.features(given))
    count = found["forward_features"].shape[1]
    assert count == (1 if name in ("values", "mixture") else 2)
    layer.mix.logits.assign([0.5, -1.0, 0.7][: count + 1])
    layer.mix.gamma.assign(1.3)
    layers = np.concatenate(
        [
            np.concatenate(
                [found["embeddings"][:, None], found[f"{direction}_features"]],
                axis=1,
            )
            for direction in ("forward", "backward")
        ],
        axis=-1,
    )  # (B, 1 + L, T, 2 * d)
    real = given["padding_mask"][..., None]
    np.testing.assert_allclose(
        outputs, real * layers.mean(axis=1), atol=TOLERANCE
    )
    weights = np.exp([0.5, -1.0, 0.7][: count + 1])
    expected = np.einsum("n,bntd->btd", 1.3 * weights / weights.sum(), layers)
    np.testing.assert_allclose(
        to_numpy(layer(given)), real * expected, atol=TOLERANCE
    )


def test_padding_changes_nothing():
    layer, given = make_layer(small_pretrainer()), inputs()
    expected = to_numpy(layer(given))
    filled = dict(given)
    filled["token_ids"] = np.where(
        given["padding_mask"], filled["token_ids"], 7
    )
    np.testing.assert_allclose(to_numpy(layer(filled)), expected, atol=1e-6)
    longer = {k: np.pad(x, [(0, 0), (0, 3)]) for k, x in given.items()}
    outputs = to_numpy(layer(longer))
    np.testing.assert_allclose(outputs[:, :7], expected, atol=1e-6)
    assert not outputs[:, 7:].any()


def test_padding_mask_is_the_keras_mask_of_the_output():
    given = inputs()
    mask = make_layer(small_pretrainer()).compute_mask(given, None)
    np.testing.assert_array_equal(to_numpy(mask), given["padding_mask"])


@pytest.mark.parametrize(
    "graphs", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_training_changes_the_mix_and_neither_g_nor_f(graphs):
    pretrainer = small_pretrainer(dropout=0.5)
    before = arrays(pretrainer)
    model = make_model(pretrainer, graphs)
    model.trainable = True  # what a fine-tuning user does
    layer = model.features["token_ids"]
    assert [w.name for w in layer.trainable_weights] == ["logits", "gamma"]
    frozen = [
        *layer.networks.graph_predictor.weights,
        *layer.networks.feature_predictor.weights,
    ]
    copied = [to_numpy(weight) for weight in frozen]
    loss = keras.losses.SparseCategoricalCrossentropy(True)
    model.compile(
        keras.optimizers.Adam(0.05), {"logits": loss}, run_eagerly=True
    )
    targets = {"logits": inputs()["token_ids"] % 2}
    model.fit(make_inputs(), targets, verbose=0)
    for old, weight in zip(copied, frozen, strict=True):
        np.testing.assert_array_equal(old, to_numpy(weight))
    for old, new in zip(before, arrays(pretrainer), strict=True):
        np.testing.assert_array_equal(old, new)
    assert pretrainer.feature_predictor.trainable_weights
    assert np.all(to_numpy(layer.mix.logits.value) != 0)


def test_inference_mode_in_training():
    layer = make_layer(small_pretrainer(dropout=0.5))
    model = keras.Sequential([layer])
    found = [to_numpy(model(inputs(), training=x)) for x in (True, False)]
    np.testing.assert_array_equal(*found)


def test_file_gives_the_same_model(tmp_path):
    model = make_model(small_pretrainer(), graphs=True)
    assert sorted(model.input) == ["padding_mask", "token_ids", "word_ids"]
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    expected, found = (to_numpy(x(make_inputs())) for x in (model, read))
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-6)
    assert len(read.trainable_weights) == len(model.trainable_weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model_class",
    [gk.models.TextClassifier, gk.models.PairClassifier, gk.models.SpanReader],
)
def test_texts_of_a_task_have_features_of_their_own(model_class):
    model = model_class(
        {"token_ids": make_layer(small_pretrainer())}, hidden_dim=4
    )
    given = inputs()
    batch = {
        name: given[name.removeprefix(f"{text}_") if text else name]
        for text in model.texts
        for name in model.input
        if name.startswith(text)
    }
    before = to_numpy(model(batch))
    last = next(name for name in reversed(batch) if "token_ids" in name)
    changed = to_numpy(model({**batch, last: 8 - batch[last]}))
    for name, values in before.items():
        assert np.abs(values - changed[name]).max() > 1e-4


@pytest.mark.parametrize(
    "changes",
    [{"embedding_dim": 16}, {"num_graph_layers": 3}, {"num_heads": 4}],
)
@pytest.mark.parametrize("messages", ["slices", "values"])
def test_networks_that_do_not_fit_are_refused(changes, messages):
    (name,) = changes
    one = small_pretrainer(messages=messages)
    other = small_pretrainer(messages=messages, **changes)
    with pytest.raises(ValueError, match=f"whose {name} is .*Received: .*="):
        gk.models.PretrainedFeatures(
            one.graph_predictor, other.feature_predictor
        )


def test_predictor_of_images_is_refused():
    predictor = gk.ImageGraphPredictor(
        embedding_dim=8, num_heads=2, key_dim=3, num_graph_layers=2
    )
    with pytest.raises(ValueError, match="predictor of texts. Received"):
        gk.models.PretrainedFeatures(predictor, gk.FeaturePredictor(8, 2))
