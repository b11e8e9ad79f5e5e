import keras
from keras import ops

from glomo_keras.ops.batch_parts import moments_of_parts


class BatchNormalization(keras.layers.BatchNormalization):
    """Normalizes by statistics of the whole batch, see `ops.batch_parts`.

    The base class has no public hook for its statistics, and its
    `synchronized=True` ignores a mask: what it does in training is written
    out here. The name is that of the base class, by which files of weights
    know it.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        mean, variance = moments_of_parts(*_moments(x, mask))
        for average, new in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            old = ops.cast(average, x.dtype)
            average.assign(old * self.momentum + new * (1.0 - self.momentum))
        y = ops.batch_normalization(
            x,
            mean,
            variance,
            axis=-1,
            offset=ops.cast(self.beta, x.dtype),
            scale=ops.cast(self.gamma, x.dtype),
            epsilon=self.epsilon,
        )
        return ops.cast(y, self.compute_dtype)


def _moments(x, mask):
    """Returns each channel's mean and variance, and the count of numbers."""
    every = ops.ones_like(x[..., 0], dtype="bool")
    # One mask for the whole batch counts for each of its examples.
    mask = every if mask is None else ops.logical_and(every, mask)
    mask = ops.expand_dims(mask, -1)
    axes = tuple(range(len(x.shape) - 1))
    count = ops.maximum(ops.sum(ops.cast(mask, x.dtype)), 1.0)
    mean = ops.sum(ops.where(mask, x, 0.0), axes) / count
    squares = ops.square(ops.where(mask, x - mean, 0.0))
    return mean, ops.sum(squares, axes) / count, count
