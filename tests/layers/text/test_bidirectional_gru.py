import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import BidirectionalGRU
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def randomised(units=3, **kwargs):
    layer = BidirectionalGRU(units, **kwargs)
    layer.build((2, 7, 8))
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def expected_states(layer, x, mask):
    """One text and one direction after the other, real units only."""
    kernels, biases, states = (
        to_numpy(w) for w in (layer.kernel, layer.bias, layer.initial_states)
    )
    recurrent = to_numpy(layer.cell.recurrent_kernel)
    recurrent_bias = to_numpy(layer.cell.recurrent_bias)[:, 0]
    outputs = np.zeros((*x.shape[:2], 2 * layer.units))
    for b in range(len(x)):
        real = np.flatnonzero(mask[b])
        for direction, order in enumerate((real, real[::-1])):
            state = states[direction]
            bias = biases[direction], recurrent_bias[direction]
            part = slice(direction * layer.units, (direction + 1) * layer.units)
            for t in order:
                state = reference.gru_cell(
                    x[b, t],
                    state,
                    kernels[direction],
                    recurrent[direction],
                    bias,
                )
                outputs[b, t, part] = state
    return outputs


def test_layer(tmp_path):
    run_layer_test(
        BidirectionalGRU,
        {"units": 3},
        {"inputs": features()},
        tmp_path,
        (2, 7, 6),
        num_weights=5,
    )


@pytest.mark.parametrize(
    "mask",
    [
        padding_mask(),
        padding_mask()[:, ::-1],  # padding in front
        np.arange(14).reshape(2, 7) % 3 > 0,  # and in between
        padding_mask(lengths=(7, 0)),
    ],
)
def test_states_equal_the_formula_wherever_padding_stands(mask):
    layer = randomised()
    x = features()
    expected = expected_states(layer, x, mask)
    other = np.where(mask[..., None], x, 1e3).astype("float32")
    for inputs in (x, other):
        states = to_numpy(layer(inputs, mask=mask))
        np.testing.assert_allclose(states, expected, atol=TOLERANCE)


def test_states_are_those_of_two_keras_layers():
    layer = randomised()
    layer.initial_states.assign(np.zeros((2, 3)))
    stock = keras.layers.Bidirectional(
        keras.layers.GRU(3, return_sequences=True)
    )
    x = features()
    stock.build(x.shape)
    biases = [layer.bias, ops.squeeze(layer.cell.recurrent_bias, 1)]
    for index, rnn in enumerate((stock.forward_layer, stock.backward_layer)):
        rnn.set_weights(
            [
                to_numpy(layer.kernel[index]),
                to_numpy(layer.cell.recurrent_kernel[index]),
                np.stack([to_numpy(b[index]) for b in biases]),
            ]
        )
    np.testing.assert_allclose(
        to_numpy(layer(x)), to_numpy(stock(x)), atol=TOLERANCE
    )


def test_keras_mask_is_used_and_handed_on():
    layer = randomised()
    x = features() * padding_mask()[..., None]
    inputs = keras.Input((7, 8))
    states = layer(keras.layers.Masking()(inputs))
    pooled = keras.layers.GlobalAveragePooling1D()(states)
    values = to_numpy(keras.Model(inputs, [states, pooled])(x))
    explicit = to_numpy(layer(x, mask=padding_mask()))
    np.testing.assert_allclose(values[0], explicit, atol=1e-6)
    mean = explicit[1, :4].mean(0)
    np.testing.assert_allclose(values[1][1], mean, atol=1e-6)


def test_directions_start_from_different_draws():
    layer = BidirectionalGRU(3)
    layer.build((1, 2, 4))
    for weight in (layer.kernel, layer.cell.recurrent_kernel):
        first, second = to_numpy(weight)
        assert np.all(first != second)
    rows = to_numpy(layer.cell.recurrent_kernel)[0]
    np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-5)


def test_initial_states_are_trained_unless_told_otherwise():
    for learned, count in ((True, 5), (False, 4)):
        layer = BidirectionalGRU(3, learn_initial_states=learned)
        layer.build((1, 2, 4))
        assert len(layer.trainable_weights) == count


def test_gradient_of_padding_is_zero_and_that_of_units_is_not():
    layer, mask = randomised(), padding_mask()
    _, (gradient,) = value_and_gradients(
        lambda x: ops.sum(ops.square(layer(x, mask=mask))), [features()]
    )
    assert np.all(np.isfinite(gradient))
    assert np.all(gradient[~mask] == 0)
    assert np.all(np.abs(gradient[mask]).sum(-1) > 0)


@pytest.mark.parametrize(
    ("units", "shape", "message"),
    [(0, (2, 7, 8), "`units` must be"), (3, (2, 7), "`inputs` must have")],
)
def test_wrong_arguments_are_refused(units, shape, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        BidirectionalGRU(units)(np.zeros(shape, "float32"))


def test_any_callable_initializes():
    def initialize(shape, dtype=None):
        return ops.full(shape, 0.5, dtype)

    layer = BidirectionalGRU(
        3, kernel_initializer=initialize, recurrent_initializer=initialize
    )
    layer.build((2, 7, 8))
    for weight in (layer.kernel, layer.cell.recurrent_kernel):
        assert np.all(to_numpy(weight) == 0.5)
