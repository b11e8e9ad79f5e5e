import keras
from keras import ops

from glomo_keras.ops.elmo import lstm_step


class _ElmoLSTMCell(keras.layers.Layer):
    """Makes a step of ELMo's LSTM, with clipped cell and projected output.

    One kernel serves the input and the previous output, in this order; gates
    are in the order input, new, forget, output. The states are the output
    `(B, p)` and the cell `(B, H)`.
    """

    def __init__(
        self, units, projection_dim, cell_clip, projection_clip, **kwargs
    ):
        super().__init__(**kwargs)
        self.units = units
        self.projection_dim = projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.state_size = [projection_dim, units]
        self.output_size = projection_dim

    def build(self, inputs_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(inputs_shape[-1] + self.projection_dim, 4 * self.units),
        )
        self.bias = self.add_weight(
            name="bias", shape=(4 * self.units,), initializer="zeros"
        )
        self.projection = self.add_weight(
            name="projection", shape=(self.units, self.projection_dim)
        )

    def call(self, inputs, states):
        output, cell = states
        joined = ops.concatenate([inputs, output], axis=-1)
        gates = ops.matmul(joined, self.kernel) + self.bias  # (B, 4 * H)
        output, cell = lstm_step(
            gates, cell, self.projection, self.cell_clip, self.projection_clip
        )
        return output, [output, cell]
