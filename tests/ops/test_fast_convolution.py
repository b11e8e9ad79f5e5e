import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import MaskedKeyQueryConv
from glomo_keras.ops import fast_convolution
from tests.backends import BACKEND
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.backends import value_and_gradients

TOLERANCE = 1e-5
GRADIENT = 1e-5  # relative to the largest entry of an array
WIDTH, FILTERS = 5, 4


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def by_hand(inputs, kernel, padding):
    """Each output from its three units, in float64."""
    inputs = np.pad(inputs.astype("float64"), ((0, 0), padding, (0, 0)))
    length = inputs.shape[1] - 2
    return sum(
        inputs[:, tap : tap + length] @ kernel[tap].astype("float64")
        for tap in range(3)
    )


@pytest.mark.parametrize("padding", [(2, 0), (0, 2)])
@pytest.mark.parametrize("length", [*range(1, 10), 200])
def test_outputs_are_those_of_a_convolution(length, padding):
    inputs, kernel = draw(2, length, WIDTH), draw(3, WIDTH, FILTERS, seed=1)
    found = fast_convolution.convolve_by_fours(
        ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel), padding
    )
    assert tuple(found.shape) == (2, length, FILTERS)
    expected = by_hand(inputs, kernel, padding)
    np.testing.assert_allclose(to_numpy(found), expected, atol=TOLERANCE)


@pytest.mark.parametrize("padding", [(2, 0), (0, 2)])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 21])
def test_gradients_are_those_of_a_convolution(length, padding):
    arrays = [draw(2, length, WIDTH), draw(3, WIDTH, FILTERS, seed=1)]
    pulls = draw(2, length, FILTERS, seed=2)

    def fast(inputs, kernel):
        outputs = fast_convolution.convolve_by_fours(inputs, kernel, padding)
        return ops.sum(outputs * pulls)

    def plain(inputs, kernel):
        inputs = ops.pad(inputs, ((0, 0), padding, (0, 0)))
        return ops.sum(ops.conv(inputs, kernel, padding="valid") * pulls)

    found, gradients = value_and_gradients(fast, arrays)
    expected, others = value_and_gradients(plain, arrays)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=1e-4)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(
            gradient, other, atol=GRADIENT * np.abs(other).max()
        )


def test_rounding_is_that_of_a_convolution_at_full_size():
    """512 channels: within a few float32 roundings of the exact sums."""
    inputs, kernel = draw(1, 64, 512), 0.03 * draw(3, 512, 512, seed=1)
    found = fast_convolution.convolve_by_fours(
        ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel), (2, 0)
    )
    expected = by_hand(inputs, kernel, (2, 0))
    error = np.abs(to_numpy(found) - expected).max()
    assert error < TOLERANCE * np.abs(expected).max()


@needs_tensorflow
def test_length_and_batch_unknown_to_a_graph_change_nothing():
    import tensorflow as tf

    inputs, kernel = draw(3, 7, WIDTH), tf.constant(draw(3, WIDTH, FILTERS))

    @tf.function(input_signature=[tf.TensorSpec((None, None, WIDTH))])
    def gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = fast_convolution.convolve_by_fours(inputs, kernel, (2, 0))
        return outputs, tape.gradient(outputs, inputs)

    def known():
        values = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = fast_convolution.convolve_by_fours(values, kernel, (2, 0))
        return outputs, tape.gradient(outputs, values)

    for found, expected in zip(
        gradient(tf.constant(inputs)), known(), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_it_is_chosen_in_float32_with_three_taps_and_many_channels():
    width = fast_convolution.LEAST_WIDTH
    units, wide = ops.zeros((1, 4, width)), ops.zeros((3, width, width))
    choose = fast_convolution.is_faster_by_fours
    on_cpu = keras.distribution.list_devices()[0].startswith("cpu")
    assert choose(units, wide) == (BACKEND == "tensorflow" and on_cpu)
    assert not choose(ops.cast(units, "bfloat16"), wide)
    assert not choose(units, ops.zeros((5, width, width)))
    assert not choose(units, wide[:, :, :-1])


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_layer_trains_the_same_either_way(monkeypatch, direction):
    layer = MaskedKeyQueryConv(WIDTH, direction=direction, normalization="none")
    inputs = ops.convert_to_tensor(draw(2, 11, WIDTH))
    mask = ops.arange(11) < ops.convert_to_tensor([[11], [6]])
    plain = layer(inputs, padding_mask=mask, training=True)
    choose_always(monkeypatch)
    fast = layer(inputs, padding_mask=mask, training=True)
    for found, expected in zip(to_numpy(fast), to_numpy(plain), strict=True):
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_inference_has_the_plain_convolution(monkeypatch):
    choose_always(monkeypatch)
    monkeypatch.setattr(
        "glomo_keras.layers.graph.masked_key_query_conv.convolve_by_fours",
        lambda *args: pytest.fail("by fours"),
    )
    layer = MaskedKeyQueryConv(WIDTH)
    layer(ops.zeros((2, 11, WIDTH)))
    with pytest.raises(pytest.fail.Exception):
        layer(ops.zeros((2, 11, WIDTH)), training=True)


def choose_always(monkeypatch):
    monkeypatch.setattr(
        "glomo_keras.layers.graph.masked_key_query_conv.is_faster_by_fours",
        lambda inputs, kernel: True,
    )
