"""Loops over chunks of rows, of which one is in memory at a time."""

import keras
from keras import ops

from glomo_keras.ops.batch_parts import is_part


def zeros_after(shape, number):
    """Returns zeros that depend on a tensor of numbers.

    TensorFlow keeps zeros of a known shape as constants of its graph, in
    memory from the first step to the last.
    """
    return ops.broadcast_to(_nothing(number), shape)


def _nothing(tensor):
    """Returns a zero that depends on a tensor."""
    first = ops.reshape(tensor, (-1,))[0]
    return ops.cast(ops.minimum(ops.abs(first), 0.0), "float32")


def cut_rows(most, *tensors):
    """Cuts the rows of tensors into chunks, `(chunk, n, ...)`.

    The chunks have equal size: if each were filled to `most` rows, the last
    one could be mostly zeros. A chunk takes every n-th row, so that a device
    that holds a part of the batch (JAX, `keras.distribution`) has its share of
    each chunk; `most` counts the rows of one device.

    Args:
        most: Integer, the most rows of a chunk.
        *tensors: Tensors `(R, ...)`.

    Returns:
        List of tensors; what is missing of the last rows is zero.
    """
    distribution = keras.distribution.distribution()
    if distribution is not None and not is_part():
        most *= distribution.num_model_replicas
    num_rows = ops.shape(tensors[0])[0]
    count = (num_rows + most - 1) // most
    size = (num_rows + count - 1) // count
    missing = count * size - num_rows
    return [
        ops.reshape(
            ops.pad(x, ((0, missing), *((0, 0),) * (len(x.shape) - 1))),
            (size, -1, *x.shape[1:]),
        )
        for x in tensors
    ]


def join_rows(chunks, like):
    """`(chunk, n, ...)` -> `(R, ...)`, as many rows as `like` has."""
    rows = ops.reshape(chunks, (-1, *chunks.shape[2:]))
    return rows[: ops.shape(like)[0]]


def put_chunk(chunks, index, values):
    """Returns the chunks with the one of this index replaced."""
    start = (0, index, *(0,) * (len(chunks.shape) - 2))
    return ops.slice_update(chunks, start, ops.expand_dims(values, 1))


def take_chunk(chunks, index, after):
    """Returns one chunk, made to depend on a tensor of the chunks before it.

    The dependence, a 0 added to the first tensor, keeps TensorFlow from
    working on several chunks at the same time.
    """
    first, *others = (ops.take(chunk, index, axis=1) for chunk in chunks)
    return first + ops.cast(_nothing(after), first.dtype), *others


def for_each_chunk(chunks, function, initial):
    """Folds `function(index, *values) -> values` over the chunks."""
    count = ops.shape(chunks[0])[1]
    if isinstance(count, int) and count == 1:
        return function(0, *initial)
    return ops.while_loop(
        lambda index, *values: index < count,
        lambda index, *values: (index + 1, *function(index, *values)),
        (0, *initial),
    )[1:]
