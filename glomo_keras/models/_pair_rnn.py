import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glomo_keras")
class _PairRNN(keras.layers.Layer):
    """Runs one RNN over two texts, stacked into one batch.

    The weights are shared, so the shorter text is padded to the length of the
    longer one and both take the same steps. That is half as many loops to
    trace and run as for one text after the other.

    Args:
        rnn: recurrent layer that returns sequences.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        first: tensor `(B, T, d)`.
        second: tensor `(B, S, d)`.
        first_mask: boolean `(B, T)`, True = real position.
        second_mask: boolean `(B, S)`.

    Returns:
        Two tensors, `(B, T, u)` and `(B, S, u)`; states of padding mean
        nothing.
    """

    def __init__(self, rnn, **kwargs):
        super().__init__(**kwargs)
        self.rnn = rnn
        self.supports_masking = True

    def build(self, first_shape, second_shape, *mask_shapes):
        self.rnn.build((None, None, first_shape[-1]))

    def call(
        self, first, second, first_mask=None, second_mask=None, training=None
    ):
        batch, first_length = ops.shape(first)[:2]
        second_length = ops.shape(second)[1]
        length = _larger(first_length, second_length)
        both = ops.concatenate(
            [_padded(first, length), _padded(second, length)]
        )  # (2 B, max(T, S), d)
        masks = [ops.cast(x, "int32") for x in (first_mask, second_mask)]
        mask = ops.concatenate([_padded(x, length) for x in masks])
        mask = ops.cast(mask, "bool")
        # cuDNN refuses a sequence without a position: an empty text gets one,
        # whose state no one looks at.
        empty = ops.logical_not(ops.any(mask, axis=1, keepdims=True))
        first_position = ops.logical_and(empty, ops.arange(length) < 1)
        mask = ops.logical_or(mask, first_position)
        states = self.rnn(both, mask=mask, training=training)
        return states[:batch, :first_length], states[batch:, :second_length]

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, first_shape, second_shape):
        width = self.rnn.compute_output_shape(first_shape)[-1]
        return (*first_shape[:2], width), (*second_shape[:2], width)

    def get_config(self):
        return {
            **super().get_config(),
            "rnn": keras.layers.serialize(self.rnn),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "rnn": keras.layers.deserialize(config["rnn"])})


def _larger(first, second):
    if isinstance(first, int) and isinstance(second, int):
        return max(first, second)
    return ops.maximum(first, second)


def _padded(tensor, length):
    """Pads a tensor `(B, T, ...)` with zeros to `length` positions."""
    batch, steps, *rest = ops.shape(tensor)
    zeros = ops.zeros((batch, length - steps, *rest), dtype=tensor.dtype)
    return ops.concatenate([tensor, zeros], axis=1)
