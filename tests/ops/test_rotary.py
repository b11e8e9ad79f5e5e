import numpy as np
import pytest

from glomo_keras.ops.rotary import rotate
from tests.backends import to_numpy
from tests.backends import to_tensors


def vectors(seed, length=6, width=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 3, length, width)).astype("float32")


def test_rotation_by_hand():
    x = np.array([[[1.0, 0.0, 7.0], [1.0, 0.0, 7.0]]], "float32")
    turned = to_numpy(rotate(*to_tensors([x, np.array([0, 2])]), 2))
    np.testing.assert_allclose(turned[0, 0], [1, 0, 7])
    np.testing.assert_allclose(
        turned[0, 1], [np.cos(2), np.sin(2), 7], rtol=1e-6
    )


def test_the_second_pair_turns_slower():
    x = np.array([[[0.0, 1.0, 0.0, 0.0]]], "float32")
    turned = to_numpy(rotate(*to_tensors([x, np.array([3])]), 4))
    angle = 3 / np.sqrt(1000)
    np.testing.assert_allclose(
        turned[0, 0], [0, np.cos(angle), 0, np.sin(angle)], rtol=1e-5
    )


@pytest.mark.parametrize("dims", [2, 4])
def test_products_depend_on_the_distance_alone(dims):
    queries, keys = vectors(0), vectors(1)
    positions = np.arange(6)

    def scores(shift):
        q, k = (
            to_numpy(rotate(*to_tensors([x, positions + shift]), dims))
            for x in (queries, keys)
        )
        return q @ k.swapaxes(-1, -2)

    np.testing.assert_allclose(scores(40), scores(0), atol=1e-5)
    assert np.abs(scores(0) - queries @ keys.swapaxes(-1, -2)).max() > 0.1
