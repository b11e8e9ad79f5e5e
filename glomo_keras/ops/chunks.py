"""Loops over chunks of rows, of which one is in memory at a time."""

from keras import ops


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
    """Cuts the rows of tensors into chunks, `(n, chunk, ...)`.

    The chunks have equal size: filled up to `most` rows, the last one could
    be mostly zeros.

    Args:
        most: Integer, the most rows of a chunk.
        *tensors: Tensors `(R, ...)`.

    Returns:
        List of tensors; the last chunk is filled up with zeros.
    """
    num_rows = ops.shape(tensors[0])[0]
    count = (num_rows + most - 1) // most
    size = (num_rows + count - 1) // count
    missing = count * size - num_rows
    return [
        ops.reshape(
            ops.pad(x, ((0, missing), *((0, 0),) * (len(x.shape) - 1))),
            (-1, size, *x.shape[1:]),
        )
        for x in tensors
    ]


def join_rows(chunks, like):
    """`(n, chunk, ...)` -> `(R, ...)`, as many rows as `like` has."""
    rows = ops.reshape(chunks, (-1, *chunks.shape[2:]))
    return rows[: ops.shape(like)[0]]


def put_chunk(chunks, index, values):
    """Returns the chunks with the one of this index replaced."""
    start = (index, *(0,) * (len(chunks.shape) - 1))
    return ops.slice_update(chunks, start, ops.expand_dims(values, 0))


def take_chunk(chunks, index, after):
    """Returns one chunk, made to depend on a tensor of the chunks before it.

    The dependence, a 0 added to the first tensor, keeps TensorFlow from
    working on several chunks at the same time.
    """
    first, *others = (ops.take(chunk, index, axis=0) for chunk in chunks)
    return first + ops.cast(_nothing(after), first.dtype), *others


def for_each_chunk(chunks, function, initial):
    """Folds `function(index, *values) -> values` over the chunks."""
    count = ops.shape(chunks[0])[0]
    if isinstance(count, int) and count == 1:
        return function(0, *initial)
    return ops.while_loop(
        lambda index, *values: index < count,
        lambda index, *values: (index + 1, *function(index, *values)),
        (0, *initial),
    )[1:]
