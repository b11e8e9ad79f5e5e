import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.attention import admitted_pairs
from glomo_keras.ops.attention import masked_softmax
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import value_and_gradients

TOLERANCE = 1e-6


def test_softmax_of_admitted_scores_by_hand():
    scores = np.log(np.array([[1, 3, 5], [1, 1, 2]], "float32"))
    mask = np.array([[True, True, False], [False, False, False]])
    scores, mask = to_tensors([scores, mask])
    shares = to_numpy(masked_softmax(scores, mask))
    expected = [[0.25, 0.75, 0], [0, 0, 0]]
    np.testing.assert_allclose(shares, expected, atol=TOLERANCE)
    shares = to_numpy(masked_softmax(scores, axis=0))
    np.testing.assert_allclose(shares[:, 1], [0.75, 0.25], atol=TOLERANCE)


@pytest.mark.parametrize("score", [-3e38, 300.0, 3e38])
def test_softmax_and_gradient_are_finite_for_any_score(score):
    scores = np.full((3, 4), score, "float32")
    admitted = np.array([[True] * 4, [True, False, True, False], [False] * 4])
    mask, weights = to_tensors([admitted, np.arange(4.0, dtype="float32")])
    shares = to_numpy(masked_softmax(ops.convert_to_tensor(scores), mask))
    np.testing.assert_allclose(shares.sum(1), [1, 1, 0], atol=TOLERANCE)
    _, (gradient,) = value_and_gradients(
        lambda x: ops.sum(masked_softmax(x, mask) * weights), [scores]
    )
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[~admitted], 0)


def test_admitted_pairs_of_mask_and_diagonal():
    x = ops.zeros((1, 3, 2))
    mask = ops.convert_to_tensor([[True, True, False]])
    assert admitted_pairs(x, x, None, False) is None
    pairs = to_numpy(admitted_pairs(x, x, mask, True))
    expected = [[0, 1, 0], [1, 0, 0], [1, 1, 0]]
    np.testing.assert_array_equal(pairs[0], np.array(expected, bool))
