import numpy as np
import pytest

from glomo_keras.layers import ContextDecoder
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import features
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def inputs():
    return {"features": features(), "embeddings": features(seed=2)}


@pytest.mark.parametrize(
    "direction", ["forward", pytest.param("backward", marks=pytest.mark.slow)]
)
def test_layer(tmp_path, direction):
    run_layer_test(
        ContextDecoder,
        {"context_length": 2, "direction": direction},
        inputs(),
        tmp_path,
        (2, 7, 2, 8),
        num_weights=6,
    )


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_states_equal_the_formula(direction, num_layers, dtype):
    layer = ContextDecoder(3, num_layers, direction)
    embeddings = features(seed=2)
    positions = np.array([3, 5, 1, 3], dtype)
    tops = features(length=4)
    layer.build(tops.shape, embeddings.shape)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / 2)
    found = to_numpy(layer(tops, embeddings, positions=positions))
    sign = 1 if direction == "forward" else -1
    for n, position in enumerate(positions):
        states = [tops[:, n]] * num_layers
        x = np.zeros((2, 8))
        for step in range(3):
            if step:
                if not 0 <= position + sign * step < 7:
                    break
                x = embeddings[:, position + sign * step]
            for index, cell in enumerate(layer.cells):
                weights = [to_numpy(w) for w in cell.weights]
                x = states[index] = reference.gru_cell(
                    x, states[index], *weights
                )
            np.testing.assert_allclose(found[:, n, step], x, atol=TOLERANCE)


def test_a_state_of_zeros_by_hand():
    layer = ContextDecoder(context_length=2, num_layers=1)
    x = np.array([[[0.5], [0.25], [1.0]]], "float32")
    layer.build(x.shape, x.shape)
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape))
    # All gates are half open, what is new is 0: each step halves the state.
    expected = [[0.25, 0.125], [0.125, 0.0625], [0.5, 0.25]]
    found = to_numpy(layer(x, x))[0, ..., 0]
    np.testing.assert_allclose(found, expected)


def test_all_positions_are_the_default():
    layer = ContextDecoder()
    found = to_numpy(layer(**inputs()))
    some = layer(
        features()[:, [2, 4]], features(seed=2), positions=np.array([2, 4])
    )
    np.testing.assert_allclose(to_numpy(some), found[:, [2, 4]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_length": 0}, "`context_length` must be a positive"),
        ({"num_layers": -1}, "`num_layers` must be a positive"),
        ({"direction": "up"}, "`direction` must be one of"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        ContextDecoder(**options)


@pytest.mark.parametrize(
    ("tops", "embeddings", "message"),
    [
        ((2, 8), (2, 7, 8), "`features` must have shape"),
        ((2, 7, 8), (2, 8), "`embeddings` must have shape"),
        ((2, 7, 8), (2, 7, 6), "must have the same width"),
        ((2, 6, 8), (2, 7, 8), "same length T"),
    ],
)
def test_wrong_shapes_are_refused(tops, embeddings, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        ContextDecoder()(
            np.zeros(tops, "float32"), np.zeros(embeddings, "float32")
        )
