import keras
from keras import ops

from glomo_keras.layers._gru_cell import gru_step
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh

# Closes the update gate exactly, in float16 too.
_CLOSED = 1e4


@keras.saving.register_keras_serializable(package="glomo_keras")
class BidirectionalGRU(keras.layers.Layer):
    """Runs a forward and a backward GRU in one loop.

        z = sigmoid(x W_z + h U_z + b_z),  r = sigmoid(x W_r + h U_r + b_r)
        n = tanh(x W_n + b_n + r * (h U_n + b'_n))
        h' = z * h + (1 - z) * n

    Computes `keras.layers.Bidirectional(GRU(...))` with learned initial
    states, as PyTorch does for packed sequences: on padding z is 1, so that
    the state stays exactly as it is, wherever the padding stands, and the
    output is 0. Both directions make a step in one product, so the loop has
    half as many steps.

    Args:
        units: Integer u, in each direction.
        learn_initial_states: Whether the initial states are learned instead
            of zeros. Defaults to `True`.
        kernel_initializer: Initializer of W, drawn for each direction.
            Defaults to `"glorot_uniform"`.
        recurrent_initializer: Initializer of U, drawn for each direction.
            Defaults to `"orthogonal"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor `(B, T, d)`.
        mask: Boolean `(B, T)`, True = real position. Defaults to the Keras
            mask of the inputs.

    Returns:
        Tensor `(B, T, 2 u)`: forward states, backward states.

    Raises:
        ValueError: If an argument is out of its range, or inputs have
            another rank.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.ops.ones((2, 5, 4))
    >>> tuple(gk.layers.BidirectionalGRU(3)(x).shape)
    (2, 5, 6)
    """

    def __init__(
        self,
        units,
        learn_initial_states=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(units=units)
        self.units = units
        self.learn_initial_states = learn_initial_states
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(
            recurrent_initializer
        )
        self.supports_masking = True

    def build(self, inputs_shape):
        check.check_rank("inputs", inputs_shape, 3, "(B, T, d)")
        gates = 3 * self.units
        self.kernel = self.add_weight(
            name="kernel",
            shape=(2, inputs_shape[-1], gates),
            initializer=_for_each_direction(self.kernel_initializer),
        )
        self.bias = self.add_weight(
            name="bias", shape=(2, gates), initializer="zeros"
        )
        self.initial_states = self.add_weight(
            name="initial_states",
            shape=(2, self.units),
            initializer="zeros",
            trainable=self.learn_initial_states,
        )
        cell = _TwoDirectionsCell(
            self.units,
            self.recurrent_initializer,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="cell",
        )
        self.rnn = keras.layers.RNN(
            cell,
            return_sequences=True,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="rnn",
        )
        self.rnn.build((None, inputs_shape[1], gates))

    @property
    def cell(self):
        """Returns the cell, which has the recurrent weights."""
        return self.rnn.cell

    def call(self, inputs, mask=None):
        if mask is not None:
            check.check_padding_mask(mask, inputs.shape[1])
            mask = ops.expand_dims(ops.cast(mask, "bool"), -1)  # (B, T, 1)
        steps = [self._project(inputs, index, mask) for index in range(2)]
        steps = ops.concatenate([steps[0], ops.flip(steps[1], axis=1)], axis=0)
        states = ops.repeat(
            ops.convert_to_tensor(self.initial_states),
            ops.shape(inputs)[0],
            axis=0,
        )  # (2 B, u), the forward ones first, as the steps
        outputs = self.rnn(steps, initial_state=states)  # (2 B, T, u)
        forward, backward = ops.split(outputs, 2, axis=0)
        outputs = ops.concatenate([forward, ops.flip(backward, axis=1)], -1)
        return outputs if mask is None else ops.where(mask, outputs, 0)

    def _project(self, inputs, index, mask):
        """Returns `x W + b` of a direction, z = 1 on padding: `(B, T, 3 u)`."""
        projected = ops.matmul(inputs, self.kernel[index]) + self.bias[index]
        if mask is None:
            return projected
        update, others = ops.split(projected, [self.units], axis=-1)
        update = ops.where(mask, update, _CLOSED)
        return ops.concatenate([update, others], axis=-1)

    def compute_output_shape(self, inputs_shape):
        check.check_rank("inputs", inputs_shape, 3, "(B, T, d)")
        return (*inputs_shape[:-1], 2 * self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "learn_initial_states": self.learn_initial_states,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "recurrent_initializer": keras.initializers.serialize(
                self.recurrent_initializer
            ),
        }


class _TwoDirectionsCell(keras.layers.Layer):
    """Makes a step of both directions, stacked along the batch axis."""

    def __init__(self, units, recurrent_initializer, **kwargs):
        super().__init__(**kwargs)
        self.state_size = units
        self.output_size = units
        self.recurrent_initializer = recurrent_initializer

    def build(self, inputs_shape):
        units = self.state_size
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(2, units, 3 * units),
            initializer=_for_each_direction(self.recurrent_initializer),
        )
        self.recurrent_bias = self.add_weight(
            name="recurrent_bias", shape=(2, 1, 3 * units), initializer="zeros"
        )

    def call(self, inputs, states):
        (state,) = states  # (2 B, u)
        units = self.state_size
        h = ops.reshape(state, (2, -1, units))
        h = ops.matmul(h, self.recurrent_kernel) + self.recurrent_bias
        h = ops.reshape(h, (-1, 3 * units))
        state = gru_step(inputs, h, state)
        return state, [state]


def _for_each_direction(initializer):
    """Returns an initializer of `(2, ...)` that draws each direction."""

    def initialize(shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype)
        # TensorFlow cannot draw an orthogonal matrix in bfloat16.
        drawn = "float32" if dtype == "bfloat16" else dtype
        parts = [fresh(initializer)(shape[1:], dtype=drawn) for _ in range(2)]
        return ops.cast(ops.stack(parts), dtype)

    return initialize
