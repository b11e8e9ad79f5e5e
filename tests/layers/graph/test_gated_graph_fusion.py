import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import GatedGraphFusion
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test


@pytest.mark.parametrize(
    ("units", "width"),
    [pytest.param(None, 16, marks=pytest.mark.slow), (3, 11)],
)
def test_layer(tmp_path, units, width):
    run_layer_test(
        GatedGraphFusion,
        {"units": units, "dropout": 0.1, "seed": 1},
        {"features": features(), "messages": features(16, seed=2)},
        tmp_path,
        (2, 7, width),
        num_weights=4,
    )


def test_output_equals_the_formula():
    layer = GatedGraphFusion(units=3)
    h, m = features(), features(16, seed=2)
    fused = to_numpy(layer(h, m))
    w1, b1, w2, b2 = (to_numpy(w) for w in layer.weights)
    x = np.concatenate([h, m], -1)
    gated = (x @ w1 + b1) * reference.sigmoid(x @ w2 + b2)
    np.testing.assert_array_equal(fused[..., :8], h)
    np.testing.assert_allclose(fused[..., 8:], gated, atol=1e-5)


def test_fusion_of_three_positions_by_hand():
    layer = GatedGraphFusion(units=1)
    h = np.array([[[1.0], [2.0], [3.0]]], "float32")
    layer.build(h.shape, h.shape)
    layer.value_dense.kernel.assign([[1.0], [2.0]])
    layer.gate_dense.kernel.assign([[0.0], [0.0]])  # the gate is half open
    fused = to_numpy(layer(h, -h))
    expected = [[[1, -0.5], [2, -1], [3, -1.5]]]
    np.testing.assert_allclose(fused, expected, atol=1e-6)


def test_dropout_is_the_same_at_all_positions_of_a_sequence():
    layer = GatedGraphFusion(dropout=0.5, seed=1)
    x = np.ones((2, 7, 8), "float32")
    fused = to_numpy(layer(x, x, training=True))
    np.testing.assert_allclose(fused, fused[:, :1] * np.ones((1, 7, 1)))
    assert np.any(fused[0] != fused[1])
    np.testing.assert_array_equal(fused[..., :8], x)
    again = GatedGraphFusion(dropout=0.5, seed=1)
    again.build(x.shape, x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(again(x, x, training=True)), fused)


def test_keras_mask_is_handed_on():
    x = features() * padding_mask()[..., None]
    inputs = keras.Input((7, 8))
    masked = keras.layers.Masking()(inputs)
    fused = GatedGraphFusion()(masked, masked)
    pooled = keras.layers.GlobalAveragePooling1D()(fused)
    values = to_numpy(keras.Model(inputs, [fused, pooled])(x))
    expected = values[0][1, :4].mean(0)
    np.testing.assert_allclose(values[1][1], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "`units` must be a positive integer"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\)"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GatedGraphFusion(**options)


@pytest.mark.parametrize(
    ("h", "m", "message"),
    [
        ((2, 7), (2, 7, 8), "`features` must have shape"),
        ((2, 7, 8), (2, 7, 1, 8), "`messages` must have shape"),
        ((2, 7, 8), (2, 6, 8), "same length T"),
    ],
)
def test_wrong_shapes_are_refused(h, m, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GatedGraphFusion()(np.zeros(h, "float32"), np.zeros(m, "float32"))


def test_any_callable_initializes():
    def initialize(shape, dtype=None):
        return ops.full(shape, 0.5, dtype)

    layer = GatedGraphFusion(kernel_initializer=initialize)
    layer.build((2, 7, 8), (2, 7, 8))
    for weight in (layer.value_dense.kernel, layer.gate_dense.kernel):
        assert np.all(to_numpy(weight) == 0.5)
