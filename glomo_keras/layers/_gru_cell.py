import keras
from keras import ops


class _SplitGRUCell(keras.layers.GRUCell):
    """Makes the step of `keras.layers.GRUCell` for inputs `(..., d)`.

    Weights and numbers are the same. The gates are taken by `split`, whose
    backward pass is one concatenation; the stock cell slices them, whose
    backward pass pads and adds, and takes `(B, d)` only.
    """

    def call(self, inputs, states, training=False):
        (state,) = states
        bias = ops.convert_to_tensor(self.bias)
        input_bias, state_bias = ops.unstack(bias, axis=0)
        x = ops.matmul(inputs, self.kernel) + input_bias
        h = ops.matmul(state, self.recurrent_kernel) + state_bias
        output = gru_step(x, h, state)
        return output, [output]


def gru_step(x, h, state):
    """Returns a GRU's next state.

    Args:
        x: Tensor `(..., 3 u)`, the input `W x + b` of update gate, reset gate
            and new state.
        h: Tensor `(..., 3 u)`, likewise from the state.
        state: Tensor `(..., u)`.
    """
    x_update, x_reset, x_new = ops.split(x, 3, axis=-1)
    h_update, h_reset, h_new = ops.split(h, 3, axis=-1)
    update = ops.sigmoid(x_update + h_update)
    reset = ops.sigmoid(x_reset + h_reset)
    new = ops.tanh(x_new + reset * h_new)
    return update * state + (1 - update) * new


def run_stack(cells, features, inputs):
    """Runs a stack of cells whose states all start as the features.

    Args:
        cells: List of cells.
        features: Tensor `(B, N, d)`.
        inputs: List of D tensors `(B, N, d)`, the inputs of the lowest cell.

    Returns:
        Tensor `(B, N, D, d)`, the states of the highest cell.
    """
    states, outputs = [features] * len(cells), []
    for x in inputs:
        for index, cell in enumerate(cells):
            x, _ = cell(x, [states[index]])
            states[index] = x
        outputs.append(x)
    return ops.stack(outputs, axis=2)
