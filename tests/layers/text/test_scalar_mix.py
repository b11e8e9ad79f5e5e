import numpy as np
import pytest

from glomo_keras.layers import ScalarMix
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def layers():
    rng = np.random.default_rng(0)
    return rng.normal(1.0, 2.0, (2, 3, 7, 4)).astype("float32")


@pytest.mark.parametrize(
    "normalize", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_layer(tmp_path, normalize):
    run_layer_test(
        ScalarMix,
        {"normalize": normalize},
        {"layers": layers(), "padding_mask": padding_mask()},
        tmp_path,
        (2, 7, 4),
        2,
    )


@pytest.mark.parametrize("normalize", [False, True])
def test_equals_the_formula(normalize):
    layer = ScalarMix(normalize)
    layer.build((2, 3, 7, 4))
    layer.logits.assign([0.5, -1.0, 2.0])
    layer.gamma.assign(1.7)
    mask = padding_mask()
    x = layers().astype("float64")
    if normalize:
        for k in range(3):
            real = x[:, k][mask]  # of both rows together
            x[:, k] = (x[:, k] - real.mean()) / real.std()
    weights = np.exp([0.5, -1.0, 2.0])
    expected = 1.7 * np.einsum("n,bntd->btd", weights / weights.sum(), x)
    outputs = to_numpy(layer(layers(), padding_mask=mask))
    np.testing.assert_allclose(outputs[mask], expected[mask], atol=TOLERANCE)


def test_one_mask_for_all_is_that_of_each():
    layer, mask = ScalarMix(normalize=True), padding_mask()[1:]
    expected = layer(layers(), padding_mask=np.repeat(mask, 2, axis=0))
    found = layer(layers(), padding_mask=mask)
    np.testing.assert_allclose(
        to_numpy(found), to_numpy(expected), atol=TOLERANCE
    )


def test_starts_as_the_mean():
    outputs = to_numpy(ScalarMix()(layers()))
    np.testing.assert_allclose(outputs, layers().mean(1), atol=TOLERANCE)


def test_what_stands_in_padding_changes_no_real_position():
    layer, mask = ScalarMix(normalize=True), padding_mask()
    other = np.where(mask[:, None, :, None], layers(), 1e3)
    expected = to_numpy(layer(layers(), padding_mask=mask))[mask]
    moved = to_numpy(layer(other.astype("float32"), padding_mask=mask))[mask]
    np.testing.assert_allclose(moved, expected, atol=TOLERANCE)


def test_gradient_is_finite_where_all_is_padding_or_equal():
    layer = ScalarMix(normalize=True)
    layer(np.ones((2, 3, 7, 4), "float32"))  # JAX: no weight made in a trace
    for mask in (np.zeros((2, 7), bool), np.ones((2, 7), bool)):
        value, (gradient,) = value_and_gradients(
            lambda x, mask=mask: layer(x, padding_mask=mask)[0, 0, 0],
            [np.ones((2, 3, 7, 4))],
        )
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="`layers` must have shape.*Received"):
        ScalarMix()(np.zeros((2, 7, 4), "float32"))
    with pytest.raises(ValueError, match="same length T.*Received"):
        ScalarMix()(layers(), padding_mask=np.ones((2, 6), bool))
