import numpy as np
import pytest

from glomo_keras.ops.context import context_targets
from tests.backends import to_numpy
from tests.backends import to_tensors

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
