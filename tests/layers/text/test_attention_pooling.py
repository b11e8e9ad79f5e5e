import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import AttentionPooling
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test


def test_layer(tmp_path):
    run_layer_test(
        AttentionPooling,
        {"units": 3, "dropout": 0.1, "seed": 1},
        {"inputs": features()},
        tmp_path,
        (2, 8),
        num_weights=3,
    )


def test_pooled_units_equal_the_formula_and_padding_counts_nothing():
    layer, x, mask = AttentionPooling(3), features(), padding_mask()
    found = to_numpy(layer(x, mask=mask))
    kernel, bias, vector = (to_numpy(w) for w in layer.weights)
    for b in range(2):
        real = x[b][mask[b]]
        scores = np.tanh(real @ kernel + bias) @ vector
        expected = reference.softmax(scores[:, 0]) @ real
        np.testing.assert_allclose(found[b], expected, atol=1e-5)
    other = np.where(mask[..., None], x, 1e3).astype("float32")
    np.testing.assert_array_equal(to_numpy(layer(other, mask=mask)), found)


def test_keras_mask_is_used_and_ends():
    layer, mask = AttentionPooling(3), padding_mask()
    x = features() * mask[..., None]
    inputs = keras.Input((7, 8))
    pooled = layer(keras.layers.Masking()(inputs))
    assert getattr(pooled, "_keras_mask", None) is None
    found = to_numpy(keras.Model(inputs, pooled)(x))
    np.testing.assert_allclose(found, to_numpy(layer(x, mask=mask)), atol=1e-6)


def test_empty_text_gives_zeros_and_a_finite_gradient():
    layer, mask = AttentionPooling(3), padding_mask(lengths=(7, 0))
    assert np.all(to_numpy(layer(features(), mask=mask))[1] == 0)
    _, (gradient,) = value_and_gradients(
        lambda x: ops.sum(ops.square(layer(x, mask=mask))), [features()]
    )
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"units": 0}, (2, 7, 8), "`units` must be"),
        ({"units": 3, "dropout": 1}, (2, 7, 8), "`dropout` must be"),
        ({"units": 3}, (2, 7), "`inputs` must have shape"),
    ],
)
def test_wrong_arguments_are_refused(options, shape, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        AttentionPooling(**options)(np.zeros(shape, "float32"))
