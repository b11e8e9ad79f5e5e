import keras
import numpy as np
import pytest

from glomo_keras.layers import FeatureComposition
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test


def inputs():
    return {"features": features(), "messages": features(seed=2)}


@pytest.mark.parametrize(
    ("kind", "count"),
    [("gru", 3), pytest.param("residual", 2, marks=pytest.mark.slow)],
)
def test_layer(tmp_path, kind, count):
    run_layer_test(
        FeatureComposition,
        {"composition": kind},
        inputs(),
        tmp_path,
        (2, 7, 8),
        count,
    )


def test_gru_is_that_of_keras_on_product_and_message():
    layer = FeatureComposition()
    f, m = inputs().values()
    found = to_numpy(layer(f, m))
    x = np.concatenate([m * f, m], -1)
    weights = [to_numpy(w) for w in layer.weights]
    expected = reference.gru_cell(x, f, *weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    cell = keras.layers.GRUCell(8)
    cell.build((None, 16))
    cell.set_weights(weights)
    stock = cell(x.reshape(-1, 16), [f.reshape(-1, 8)])[0]
    np.testing.assert_allclose(found.reshape(-1, 8), to_numpy(stock), atol=1e-6)


def test_residual_of_three_positions_by_hand():
    layer = FeatureComposition("residual")
    f = np.array([[[1.0], [2.0], [3.0]]], "float32")
    layer.build(f.shape, f.shape)
    layer.cell.kernel.assign([[10.0]])
    layer.cell.bias.assign([0.5])
    found = to_numpy(layer(f, f[:, ::-1].copy()))
    np.testing.assert_allclose(found[0, :, 0], [31.5, 22.5, 13.5])


def test_keras_mask_is_handed_on():
    x = features() * padding_mask()[..., None]
    inputs = keras.Input((7, 8))
    masked = keras.layers.Masking()(inputs)
    composed = FeatureComposition()(masked, masked)
    pooled = keras.layers.GlobalAveragePooling1D()(composed)
    values = to_numpy(keras.Model(inputs, [composed, pooled])(x))
    np.testing.assert_allclose(
        values[1][1], values[0][1, :4].mean(0), atol=1e-6
    )


def test_unknown_composition_and_shapes_are_refused():
    with pytest.raises(ValueError, match="`composition` must be one of"):
        FeatureComposition("sum")
    with pytest.raises(ValueError, match="`features` must have shape"):
        FeatureComposition()(features()[0], features()[0])
    with pytest.raises(
        ValueError, match="must have the same width.*Received: "
    ):
        FeatureComposition()(features(), features(6))


@pytest.mark.parametrize("built", [False, True])
def test_lengths_that_differ_are_refused(built):
    layer = FeatureComposition("residual")
    if built:
        layer(features(), features())
    with pytest.raises(ValueError, match="same length T.*Received: "):
        layer(features(length=1), features())
