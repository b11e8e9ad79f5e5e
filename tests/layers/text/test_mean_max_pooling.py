import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import MeanMaxPooling
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-6


def test_layer(tmp_path):
    run_layer_test(
        MeanMaxPooling,
        {},
        {"features": features()},
        tmp_path,
        (2, 16),
        num_weights=0,
    )


def test_output_equals_numpy_on_real_positions():
    x, mask = features() - 5, padding_mask()  # all negative: no zero wins
    pooled = to_numpy(MeanMaxPooling()(x, padding_mask=mask))
    for i in range(len(x)):
        real = x[i, mask[i]]
        expected = np.concatenate([real.mean(0), real.max(0)])
        np.testing.assert_allclose(pooled[i], expected, atol=TOLERANCE)


def test_padding_changes_nothing():
    x, mask = features(), padding_mask()
    expected = to_numpy(MeanMaxPooling()(x, padding_mask=mask))
    x[~mask] = 1e6
    x = np.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=9)
    pooled = MeanMaxPooling()(x, padding_mask=np.pad(mask, ((0, 0), (0, 3))))
    np.testing.assert_allclose(to_numpy(pooled), expected, atol=TOLERANCE)


def test_text_without_a_unit_gives_zeros_and_a_finite_gradient():
    mask = padding_mask(lengths=(7, 0))

    def total(x):
        return ops.sum(MeanMaxPooling()(x, padding_mask=mask))

    pooled = to_numpy(MeanMaxPooling()(features(), padding_mask=mask))
    np.testing.assert_array_equal(pooled[1], 0)
    _, (gradient,) = value_and_gradients(total, [features()])
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], 0)


def test_keras_mask_is_used():
    x = features() * padding_mask()[..., None]
    inputs = keras.Input((7, 8))
    pooled = MeanMaxPooling()(keras.layers.Masking()(inputs))
    expected = MeanMaxPooling()(x, padding_mask=padding_mask())
    np.testing.assert_allclose(
        to_numpy(keras.Model(inputs, pooled)(x)),
        to_numpy(expected),
        atol=TOLERANCE,
    )


@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        ((2, 7), (2, 7), "`features` must have shape"),
        ((2, 7, 8), (2, 7, 1), "`padding_mask` must have shape"),
        ((2, 7, 8), (2, 6), "same length T"),
    ],
)
def test_wrong_shapes_are_refused(x, mask, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        MeanMaxPooling()(np.zeros(x, "float32"), np.zeros(mask, "bool"))


def test_a_policy_is_in_the_config():
    layer = MeanMaxPooling(dtype=keras.DTypePolicy("mixed_bfloat16"))
    other = MeanMaxPooling.from_config(layer.get_config())
    assert other.dtype_policy.name == "mixed_bfloat16"
