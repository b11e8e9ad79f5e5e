"""`select`: a smaller predictor of some layers and heads."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import inputs
from tests.models.small_models import randomised
from tests.models.small_models import small_predictor

SIZES = {"num_heads": 4, "num_graph_layers": 3}
# Other backends round products of matrices by their sizes.
TOLERANCE = 0 if keras.backend.backend() == "tensorflow" else 2e-6
CHOICES = [
    ([1, 3], [2, 4]),
    ([2], None),
    (None, [3]),
    ([3, 1], [[4, 1, 2], [1, 2, 3]]),
    ([2, 3], {"forward": [1, 2], "backward": [[3, 4], [2, 1]]}),
]


ROTATED = {
    "rotary_dim": 2,
    "key_dim": 4,
    "rotary_heads": {
        "forward": [True, False, False, True],
        "backward": [[head < layer for head in range(4)] for layer in range(3)],
    },
}


@pytest.fixture(scope="module")
def predictor():
    return small_predictor(**SIZES)


def kept(graphs, layers, heads):
    """The graphs of some layers and heads, by plain indexing."""
    layers = layers or [1, 2, 3]
    result = {}
    for name, graph in graphs.items():
        own = heads
        if isinstance(heads, dict):
            own = heads[name.removesuffix("_graphs")]
        own = own or [1, 2, 3, 4]
        if not isinstance(own[0], list):
            own = [own] * len(layers)
        result[name] = np.stack(
            [
                np.stack([graph[:, n - 1, k - 1] for k in row], axis=1)
                for n, row in zip(layers, own, strict=True)
            ],
            axis=1,
        )
    return result


def assert_close(found, expected, atol=TOLERANCE):
    assert found.keys() == expected.keys()
    for name, graph in expected.items():
        np.testing.assert_allclose(found[name], graph, rtol=0, atol=atol)


@pytest.mark.parametrize("layers, heads", CHOICES, ids=str)
def test_graphs_are_those_of_the_kept_heads(predictor, layers, heads):
    smaller = predictor.select(layers=layers, heads=heads)
    expected = kept(to_numpy(predictor(inputs())), layers, heads)
    assert_close(to_numpy(smaller(inputs())), expected)
    shape = expected["forward_graphs"].shape
    assert (smaller.num_graph_layers, smaller.num_heads) == shape[1:3]


@pytest.mark.parametrize("count", [1, 2])
def test_compiled_calls_give_the_same_graphs_too(predictor, count):
    given = {name: x[:count] for name, x in inputs().items()}
    smaller = predictor.select(layers=[2], heads=[3])
    expected = kept(predictor.predict(given, verbose=0), [2], [3])
    assert_close(smaller.predict(given, verbose=0), expected)


@pytest.mark.parametrize(
    "options",
    [{"threshold": "scalar"}, {"activation": "softmax"}, ROTATED],
    ids=["scalar", "softmax", "rotated"],
)
def test_other_predictors_are_selected_too(options):
    predictor = small_predictor(**SIZES, **options)
    smaller = predictor.select([2, 3], [1, 4])
    expected = kept(to_numpy(predictor(inputs())), [2, 3], [1, 4])
    assert_close(to_numpy(smaller(inputs())), expected)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the tokenizer"
)
def test_graphs_of_the_shipped_predictor_are_equal_bit_by_bit():
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    tokenizer = gk.data.WordTokenizer.from_preset("glomo_small_en")
    batch = tokenizer(["The cat sat on the mat because it was tired.", "So?"])
    smaller = predictor.select([1, 3], [2, 5, 7])
    for name, graph in predictor(batch).items():
        expected = graph.numpy()[:, [0, 2]][:, :, [1, 4, 6]]
        np.testing.assert_array_equal(smaller(batch)[name], expected)


def test_images_are_selected_too():
    predictor = randomised(
        gk.ImageGraphPredictor(
            embedding_dim=6,
            num_conv_layers=1,
            bidirectional=True,
            **SIZES,
        )
    )
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 3))
    images = {"images": images.astype("uint8")}
    smaller = predictor.select(layers=[3], heads=[2, 1])
    expected = kept(to_numpy(predictor(images)), [3], [2, 1])
    assert_close(to_numpy(smaller(images)), expected)


def test_selected_predictor_is_a_model_of_its_own(predictor):
    before = [np.array(to_numpy(weight)) for weight in predictor.weights]
    smaller = predictor.select(heads=[1])
    for weight in smaller.weights:
        weight.assign(weight + 1.0)
    for weight, value in zip(predictor.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)


@pytest.mark.parametrize("trainable", [True, False])
def test_frozen_stays_frozen_and_vocabulary_is_kept(trainable):
    predictor = small_predictor(**SIZES)
    predictor.vocabulary = [f"word{n}" for n in range(9)]
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    predictor.trainable = trainable
    smaller = predictor.select(layers=[1])
    assert bool(smaller.trainable_weights) == trainable
    assert smaller.vocabulary == predictor.vocabulary
    assert smaller.tokenizer_config == predictor.tokenizer_config


def test_selected_predictor_is_saved_like_any_other(predictor, tmp_path):
    smaller = predictor.select([1, 3], [[2, 4], [1, 3]])
    expected = to_numpy(smaller(inputs()))
    smaller.save(tmp_path / "small.keras")
    smaller.save_to_preset(tmp_path / "preset")
    for copy in (
        keras.saving.load_model(tmp_path / "small.keras"),
        gk.GraphPredictor.from_preset(tmp_path / "preset"),
    ):
        assert_close(to_numpy(copy(inputs())), expected, atol=0)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel"
)
def test_selected_predictor_is_exported_like_any_other(predictor, tmp_path):
    import tensorflow as tf

    smaller = predictor.select([2], [1, 3])
    folder = gk.serving.export_saved_model(smaller, tmp_path / "small")
    served = tf.saved_model.load(str(folder)).signatures["from_ids"]
    tensors = {name: tf.constant(value) for name, value in inputs().items()}
    found, expected = served(**tensors), to_numpy(smaller(inputs()))
    for name, graph in expected.items():
        np.testing.assert_allclose(found[name], graph, atol=1e-6)


@pytest.mark.parametrize(
    "layers, heads, message",
    [
        ([0], None, r"from 1 to 3. Received: layers=\[0\]"),
        ([1.0], None, r"from 1 to 3. Received: layers=\[1.0\]"),
        (None, [True], r"from 1 to 4. Received: heads=\[True\]"),
        ([4], None, r"from 1 to 3. Received: layers=\[4\]"),
        ([1, 1], None, r"different numbers.*Received: layers=\[1, 1\]"),
        ([], None, r"sequence of numbers from 1.*Received: layers=\[\]"),
        (2, None, "sequence of numbers from 1.*Received: layers=2"),
        (None, 2, "sequence of numbers from 1.*Received: heads=2"),
        (None, [5], r"from 1 to 4. Received: heads=\[5\]"),
        ([1, 2], [[1, 2]], "one for each layer that is kept, 2"),
        ([1, 2], [[1, 2], [3]], "as many heads.*'forward': .2, 1."),
        (None, {"forward": [1]}, "the predictor's directions"),
        (None, {"forward": [1], "backward": [1, 2]}, "as many heads"),
    ],
)
def test_wrong_choices_are_refused(predictor, layers, heads, message):
    with pytest.raises(ValueError, match=message):
        predictor.select(layers, heads)
