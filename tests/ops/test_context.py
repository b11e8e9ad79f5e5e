import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.context import context_targets
from glomo_keras.ops.context import scale_gradient_by_frequency
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import value_and_gradients

TOKENS = np.array([[10, 11, 12, 13], [20, 21, 22, 0]], "int32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool)
POSITIONS = np.array([0, 2, 3])


@pytest.mark.parametrize(
    ("direction", "targets", "weights"),
    [
        ("forward", [[11, 12], [13, 13], [13, 13]], [[1, 1], [1, 0], [0, 0]]),
        ("backward", [[10, 10], [11, 10], [12, 11]], [[0, 0], [1, 1], [1, 1]]),
    ],
)
def test_targets_by_hand(direction, targets, weights):
    tokens, positions = to_tensors([TOKENS, POSITIONS])
    found = context_targets(tokens, None, positions, 2, direction)
    np.testing.assert_array_equal(to_numpy(found[0])[0], targets)
    np.testing.assert_array_equal(to_numpy(found[1])[0], weights)


def test_padding_is_no_target_and_has_none():
    inputs = to_tensors([TOKENS, MASK, POSITIONS])
    _, weights = context_targets(*inputs, 2, "forward")
    np.testing.assert_array_equal(
        to_numpy(weights)[1], [[1, 1], [0, 0], [0, 0]]
    )
    _, weights = context_targets(*inputs, 2, "backward")
    np.testing.assert_array_equal(
        to_numpy(weights)[1], [[0, 0], [1, 1], [0, 0]]
    )


REPEATED = np.array([[3, 3, 1], [3, 0, 0]], "int32")
REAL = np.array([[1, 1, 1], [1, 1, 0]], bool)


def scaled_gradient(embedded, mask=REAL):
    ids, mask = to_tensors([REPEATED, mask])
    return scale_gradient_by_frequency(embedded, ids, 5, mask)


def test_values_are_the_same_to_the_bit():
    rng = np.random.default_rng(0)
    for dtype in ("float32", "bfloat16", "float16"):
        embedded = ops.cast(rng.normal(size=(2, 3, 50)), dtype)
        scaled = scaled_gradient(embedded)
        np.testing.assert_array_equal(to_numpy(scaled), to_numpy(embedded))


def test_gradients_are_divided_by_the_count_of_real_positions():
    def total(embedded):
        return ops.sum(scaled_gradient(embedded))

    _, (gradient,) = value_and_gradients(total, [np.ones((2, 3, 1))])
    # Token 3 stands three times; token 0 twice, once of it in the padding.
    expected = [[1 / 3, 1 / 3, 1], [1 / 3, 1, 1]]
    np.testing.assert_allclose(gradient[..., 0], expected, rtol=1e-6)


def test_tokens_in_padding_alone_have_a_finite_gradient():
    def total(embedded):
        return ops.sum(scaled_gradient(embedded, np.zeros_like(REAL)))

    _, (gradient,) = value_and_gradients(total, [np.ones((2, 3, 1))])
    assert np.all(gradient == 0)
