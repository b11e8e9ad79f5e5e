import numpy as np
import pytest

from glomo_keras.ops.context import context_indices
from glomo_keras.ops.context import context_targets
from tests.backends import to_numpy

TOKENS = np.array([[10, 11, 12, 13], [20, 21, 22, 0]], "int32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool)
POSITIONS = np.array([0, 2, 3])


@pytest.mark.parametrize(
    ("direction", "expected", "inside"),
    [
        ("forward", [[1, 2], [3, 3], [3, 3]], [[1, 1], [1, 0], [0, 0]]),
        ("backward", [[0, 0], [1, 0], [2, 1]], [[0, 0], [1, 1], [1, 1]]),
    ],
)
def test_indices_by_hand(direction, expected, inside):
    found = context_indices(POSITIONS, 2, direction, 4)
    np.testing.assert_array_equal(to_numpy(found[0]), expected)
    np.testing.assert_array_equal(to_numpy(found[1]), inside)


@pytest.mark.parametrize(
    ("direction", "targets", "weights"),
    [
        ("forward", [[11, 12], [13, 13], [13, 13]], [[1, 1], [1, 0], [0, 0]]),
        ("backward", [[10, 10], [11, 10], [12, 11]], [[0, 0], [1, 1], [1, 1]]),
    ],
)
def test_targets_by_hand(direction, targets, weights):
    found = context_targets(TOKENS, None, POSITIONS, 2, direction)
    np.testing.assert_array_equal(to_numpy(found[0])[0], targets)
    np.testing.assert_array_equal(to_numpy(found[1])[0], weights)


def test_padding_is_no_target_and_has_none():
    _, weights = context_targets(TOKENS, MASK, POSITIONS, 2, "forward")
    np.testing.assert_array_equal(
        to_numpy(weights)[1], [[1, 1], [0, 0], [0, 0]]
    )
    _, weights = context_targets(TOKENS, MASK, POSITIONS, 2, "backward")
    np.testing.assert_array_equal(
        to_numpy(weights)[1], [[0, 0], [1, 1], [0, 0]]
    )
