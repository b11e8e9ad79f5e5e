"""Row-wise work on T x T graphs in blocks, so that memory grows with T."""

import keras
from keras import ops

DIRECT_LIMIT = 512
BLOCK_ROWS = 128
COLUMN_GROUPS = 4


def supports_jit(length):
    """Whether XLA compiles the gradient of blocks of so many rows.

    TensorFlow gives a loop over a number of blocks that is not known when it
    traces no gradient under XLA, whatever the inputs turn out to be.

    Args:
        length: T as in a shape, None where it is dynamic.
    """
    return length is not None or keras.config.backend() != "tensorflow"


def map_row_blocks(
    function,
    arguments,
    num_rows,
    direction,
    take_columns,
    dynamic_blocks=False,
):
    """Applies a row-wise function to all rows of a graph, block by block.

    Up to `DIRECT_LIMIT` rows the function is called once, with None for all
    rows and all columns. Beyond, it is called for blocks of `BLOCK_ROWS`
    rows (with only the columns that the direction admits, where the length
    is static), and what it computes is computed again in the backward pass
    instead of being kept.

    Args:
        function: called as `function(rows, columns, *arguments)` with
            integer tensors `(R,)` and `(S,)` or None for all, and the
            arguments of these columns; returns a tensor `(..., R, X)`.
        arguments: tuple of (nested) float tensors. All that the gradient is
            to reach must be here: `keras.remat` does not see closures.
        num_rows: T, an integer or (TensorFlow graphs only) a scalar tensor.
        direction: `"forward"` or `"backward"`.
        take_columns: called as `take_columns(columns, *arguments)` with a
            slice; returns the arguments with only these columns.
        dynamic_blocks: boolean, whether rows whose number is a tensor go by
            blocks, however many they are, or all at once. The caller
            chooses: a conditional here would slow every training step down.

    Returns:
        Tensor `(..., T, X)`.
    """
    if isinstance(num_rows, int):
        if num_rows > DIRECT_LIMIT:
            return _map_static(
                function, arguments, num_rows, direction, take_columns
            )
    elif dynamic_blocks:
        return _map_blocks(function, arguments, 0, num_rows, None)
    return function(None, None, *arguments)


def _map_static(function, arguments, num_rows, direction, take_columns):
    """A few groups of blocks, each with only the columns that it can reach."""
    num_blocks = -(-num_rows // BLOCK_ROWS)
    size = BLOCK_ROWS * -(-num_blocks // COLUMN_GROUPS)
    groups, previous = [], None
    for start in range(0, num_rows, size):
        stop = min(start + size, num_rows)
        first, last = (0, stop) if direction == "forward" else (start, num_rows)
        previous = _map_blocks(
            function,
            take_columns(slice(first, last), *arguments),
            start,
            stop,
            ops.arange(first, last),
            previous,
        )
        groups.append(previous)
    return ops.concatenate(groups, axis=-2)


def _map_blocks(function, arguments, start, stop, columns, previous=None):
    """The rows from `start` to `stop`, one block after the other."""

    def rows_from(start, count):
        rows = ops.minimum(start + ops.arange(count), stop - 1)
        return _recomputed(function, rows, columns)(*arguments)

    if keras.config.backend() != "tensorflow":
        starts = range(start, stop, BLOCK_ROWS)
        counts = [min(BLOCK_ROWS, stop - first) for first in starts]
        blocks = map(rows_from, starts, counts)
        return ops.concatenate(list(blocks), axis=-2)

    def next_block(_, start):
        block = rows_from(start, BLOCK_ROWS)
        return block, block

    # A block is carried on so that the next has to wait for it: TensorFlow
    # would otherwise compute many at a time and hold all their edges.
    num_blocks = (stop - start + BLOCK_ROWS - 1) // BLOCK_ROWS
    starts = start + BLOCK_ROWS * ops.arange(num_blocks)
    if previous is not None:
        starts = _after(previous, starts)
    row = function(ops.arange(1), columns, *arguments)  # (..., 1, X)
    zeros = ops.repeat(ops.zeros_like(row), BLOCK_ROWS, axis=-2)
    _, blocks = ops.scan(next_block, zeros, starts)
    blocks = ops.moveaxis(blocks, 0, -3)  # (..., blocks, BLOCK_ROWS, X)
    shape = ops.shape(blocks)
    joined = ops.reshape(blocks, (*shape[:-3], -1, shape[-1]))
    return joined[..., : stop - start, :]


def _after(tensor, numbers):
    """The integers, to be had once the tensor is computed."""
    known = ops.any(tensor[..., -1, -1] > 0)
    return numbers + ops.minimum(ops.cast(known, "int32"), 0)


def _recomputed(function, rows, columns):
    return keras.remat(lambda *arguments: function(rows, columns, *arguments))
