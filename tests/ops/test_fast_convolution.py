"""In training, 256 channels take the fast way on a CPU with TensorFlow."""

import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.fast_convolution import LEAST_WIDTH
from glomo_keras.ops.fast_convolution import causal_conv1d
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import value_and_gradients

TOLERANCE = 1e-5  # relative to the largest entry of an array
WIDTHS = (5, LEAST_WIDTH)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def by_hand(inputs, kernel, direction):
    """Each output from its window, in float64."""
    taps, length = kernel.shape[0], inputs.shape[1]
    padding = (taps - 1, 0) if direction == "forward" else (0, taps - 1)
    inputs = np.pad(inputs.astype("float64"), ((0, 0), padding, (0, 0)))
    return sum(
        inputs[:, tap : tap + length] @ kernel[tap].astype("float64")
        for tap in range(taps)
    )


def assert_close(found, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * scale)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 50])
def test_outputs_equal_the_formula(length, training, width, direction):
    inputs, kernel = draw(2, length, width), draw(3, width, width, seed=1)
    found = causal_conv1d(*to_tensors([inputs, kernel]), direction, training)
    assert_close(to_numpy(found), by_hand(inputs, kernel, direction))


@pytest.mark.parametrize("taps", [1, 2, 5])
def test_any_number_of_taps(taps):
    inputs, kernel = draw(2, 7, 4), draw(taps, 4, 6, seed=1)
    found = causal_conv1d(*to_tensors([inputs, kernel]), "backward", True)
    assert_close(to_numpy(found), by_hand(inputs, kernel, "backward"))


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 21])
def test_gradients_are_those_of_the_plain_convolution(length, direction):
    arrays = [
        draw(2, length, LEAST_WIDTH),
        draw(3, LEAST_WIDTH, LEAST_WIDTH, seed=1),
    ]
    pulls = ops.convert_to_tensor(draw(2, length, LEAST_WIDTH, seed=2))
    results = [
        value_and_gradients(
            lambda inputs, kernel, training=training: ops.sum(
                causal_conv1d(inputs, kernel, direction, training) * pulls
            ),
            arrays,
        )[1]
        for training in (True, False)
    ]
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected)


@needs_tensorflow
def test_length_and_batch_unknown_to_a_graph_change_nothing():
    import tensorflow as tf

    kernel = tf.constant(draw(3, LEAST_WIDTH, LEAST_WIDTH))
    inputs = tf.constant(draw(3, 7, LEAST_WIDTH))

    def outputs_and_gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = causal_conv1d(inputs, kernel, "forward", training=True)
        return outputs, tape.gradient(outputs, inputs)

    compiled = tf.function(
        outputs_and_gradient,
        input_signature=[tf.TensorSpec((None, None, LEAST_WIDTH))],
    )
    for found, expected in zip(
        compiled(inputs), outputs_and_gradient(inputs), strict=True
    ):
        assert_close(found.numpy(), expected.numpy())
