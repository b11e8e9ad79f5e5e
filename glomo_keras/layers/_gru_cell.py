import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glomo_keras")
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
        x_update, x_reset, x_new = ops.split(x, 3, axis=-1)
        h_update, h_reset, h_new = ops.split(h, 3, axis=-1)
        update = ops.sigmoid(x_update + h_update)
        reset = ops.sigmoid(x_reset + h_reset)
        new = ops.tanh(x_new + reset * h_new)
        output = update * state + (1 - update) * new
        return output, [output]
