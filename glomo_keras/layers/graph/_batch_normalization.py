import keras
from keras import ops

from glomo_keras.ops.batch_parts import is_part
from glomo_keras.ops.batch_parts import moments_of_parts


class BatchNormalization(keras.layers.BatchNormalization):
    """Takes the statistics of a batch as `moments`, see `batch_moments`.

    Without them it computes with its moving averages. The base class has no
    public hook for its statistics, and its `synchronized=True` ignores a mask:
    what it does in training is written out here. The name is that of the base
    class, by which files of weights know it.
    """

    def call(self, inputs, training=None, mask=None, moments=None):
        if moments is None or not self.trainable:
            return super().call(inputs, training=False, mask=mask)
        x = _cast(inputs)
        mean, variance = moments
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


def batch_moments(tensors, mask):
    """Returns mean and variance of each channel of several tensors.

    Where several processes have parts of a batch, it takes them one message.

    Args:
        tensors: List of tensors of one shape, `(B, ..., C)`.
        mask: Boolean `(B, ...)`, False where numbers do not count, or None.

    Returns:
        List of tuples of two tensors `(C,)`, float32 or wider.
    """
    moments = [_moments(_cast(x), mask) for x in tensors]
    if not is_part():
        return [(mean, variance) for mean, variance, _ in moments]
    means, variances, counts = zip(*moments, strict=True)
    means, variances = moments_of_parts(
        ops.stack(means), ops.stack(variances), counts[0]
    )
    return [(means[i], variances[i]) for i in range(len(tensors))]


def _cast(x):
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


def _moments(x, mask):
    """Returns each channel's mean and variance, and the count of numbers."""
    if mask is None:
        mask = ops.ones_like(x[..., 0], dtype="bool")
    mask = ops.expand_dims(mask, -1)
    axes = tuple(range(len(x.shape) - 1))
    count = ops.maximum(ops.sum(ops.cast(mask, x.dtype)), 1.0)
    mean = ops.sum(ops.where(mask, x, 0.0), axes) / count
    squares = ops.square(ops.where(mask, x - mean, 0.0))
    return mean, ops.sum(squares, axes) / count, count
