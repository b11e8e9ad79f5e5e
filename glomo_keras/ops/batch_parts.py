"""Sums over a batch of which this process holds a part only.

Where several processes train one model and each computes with its part of a
batch (`training.fit_parts`), what a model takes from the whole batch passes
through these functions. Elsewhere they change nothing.
"""

import contextlib
import dataclasses

from keras import ops


@dataclasses.dataclass(frozen=True)
class _Parts:
    index: int
    count: int
    add: object


_parts = None


@contextlib.contextmanager
def batch_in_parts(index, count, add):
    """Marks each batch in this block as one part of a larger batch.

    Args:
        index: Integer, or integer scalar, which part of each batch this
            process has.
        count: Integer, how many parts there are.
        add: Function that adds a tensor up over all parts, with a gradient.
    """
    global _parts
    outer, _parts = _parts, _Parts(index, count, add)
    try:
        yield
    finally:
        _parts = outer


def is_part():
    """Returns whether the batch is a part of a larger one."""
    return _parts is not None


def sum_of_parts(x):
    """Adds up the tensors of all parts; `x` itself where there is one."""
    return x if _parts is None else _parts.add(x)


def mean_of_parts(x):
    """Returns the mean of the tensors of all parts."""
    return x if _parts is None else _parts.add(x) / _parts.count


def from_first_part(x):
    """Returns a scalar whose mean over the parts is the first part's `x`."""
    if _parts is None:
        return x
    return x * (_parts.count * (_parts.index == 0))


def in_whole_batch(num_rows):
    """Returns the number of rows of the whole batch, given this part's."""
    return num_rows if _parts is None else num_rows * _parts.count


def rows_of_part(x):
    """Returns this part's rows of a tensor `(rows of all parts, ...)`.

    What is drawn at random for each row is drawn for the whole batch, the same
    by every process, so that a part gets what it would get in the whole.
    """
    if _parts is None:
        return x
    num_rows = ops.shape(x)[0] // _parts.count
    start = (_parts.index * num_rows, *(0,) * (len(x.shape) - 1))
    return ops.slice(x, start, (num_rows, *ops.shape(x)[1:]))


def moments_of_parts(mean, variance, count):
    """Returns mean and variance over all parts.

    Args:
        mean: Tensor, the mean over this part.
        variance: Tensor of the same shape.
        count: Scalar, over how many numbers these were taken.

    Returns:
        Tuple of mean and variance.
    """
    if _parts is None:
        return mean, variance
    sums = ops.stack([mean, variance + ops.square(mean), ops.ones_like(mean)])
    sums = _parts.add(sums * ops.cast(count, mean.dtype))
    mean, square, _ = ops.unstack(sums / sums[2:], 3)
    return mean, ops.maximum(square - ops.square(mean), 0.0)
