"""Keras settings of the user that must not break a layer."""

import itertools

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import BACKEND
from tests.backends import to_numpy
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask


@pytest.fixture
def restore_settings():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    data_format = keras.config.image_data_format()
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


def graph_outputs():
    """From features to a task's features, by all layers of the graph."""
    mask = padding_mask()
    keys, queries = gk.layers.MaskedKeyQueryConv(8, num_layers=2)(
        features(6), padding_mask=mask
    )
    factors = gk.layers.KeyQueryProjection(2, 4, 2)(keys, queries, mask)
    graphs = {"forward_graphs": gk.layers.SquaredReLUGraph()(factors)}
    transfer = gk.layers.GraphTransfer(2, conditioned=True)
    return transfer(features(), graphs)


def text_outputs():
    letters = np.ones((2, 7, 16), "int32")
    x = gk.layers.CharacterCNN(50, filters=8)(letters)
    x = gk.layers.BidirectionalGRU(4)(x, mask=padding_mask())
    x = gk.layers.BiAttention(exclude_diagonal=True)(x, x)
    logits = gk.layers.SpanPointer(6)(x, np.ones((2, 3), "float32"))
    return logits["start_logits"]


def pixel_outputs():
    images = np.ones((2, 4, 5, 3), "uint8")
    embedded = gk.layers.PixelEmbedding(12)(images)
    x = gk.layers.PixelCoordinates()(keras.ops.sum(embedded, axis=-2))
    keys, _ = gk.layers.MaskedKeyQueryConv(12, num_layers=2, rank=2)(x)
    decoder = gk.layers.PixelWindowDecoder()
    table = np.ones((3, 256, 12), "float32")
    return decoder(keras.ops.reshape(keys, (2, 20, 12)), images, table)


OUTPUTS = [graph_outputs, text_outputs, pixel_outputs]


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_data_format_of_images_is_the_layers_own(outputs, restore_settings):
    keras.utils.set_random_seed(0)
    expected = to_numpy(outputs())
    keras.config.set_image_data_format("channels_first")
    keras.utils.set_random_seed(0)
    np.testing.assert_array_equal(to_numpy(outputs()), expected)


# A GRU starts with an orthogonal matrix in the user's floatx, which TensorFlow
# lacks in bfloat16, JAX and PyTorch in half precision. JAX has float64 only
# where it is switched on before the first operation.
CASES = [("bfloat16", graph_outputs), ("float16", graph_outputs)]
if BACKEND == "tensorflow":
    CASES += itertools.product(["float16"], [text_outputs, pixel_outputs])
if BACKEND != "jax":
    CASES += itertools.product(["float64"], OUTPUTS)


@pytest.mark.parametrize(("floatx", "outputs"), CASES)
def test_any_floatx(floatx, outputs, restore_settings):
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    assert np.all(np.isfinite(to_numpy(outputs())))


def test_bidirectional_gru_draws_its_weights_in_bfloat16():
    layer = gk.layers.BidirectionalGRU(4, dtype="bfloat16")
    outputs = layer(features())
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert np.all(np.isfinite(to_numpy(outputs)))
