"""Row-wise work on T x T graphs in blocks, so that memory grows with T."""

import keras
from keras import ops

DIRECT_LIMIT = 512
BLOCK_ROWS = 128


def map_row_blocks(
    function, arguments, num_rows, direction, always_blocks=False
):
    """Applies a row-wise function to all rows of a graph, block by block.

    Up to `DIRECT_LIMIT` rows the function is called once, with None for all
    rows and all columns. Beyond, it is called for blocks of `BLOCK_ROWS`
    rows (with only the columns that the direction admits, where the length
    is static), and what it computes is computed again in the backward pass
    instead of being kept.

    Args:
        function: called as `function(rows, columns, *arguments)` with
            integer tensors `(R,)` and `(S,)` or None for all; returns a
            tensor `(..., R, X)`.
        arguments: tuple of (nested) float tensors. All that the gradient is
            to reach must be here: `keras.remat` does not see closures.
        num_rows: T, an integer or (TensorFlow graphs only) a scalar tensor.
        direction: `"forward"` or `"backward"`.
        always_blocks: blocks whatever the length, for a caller that is
            itself in a branch of `ops.cond`: TensorFlow cannot differentiate
            recomputation inside two nested conditionals.

    Returns:
        Tensor `(..., T, X)`.
    """
    if not isinstance(num_rows, int):
        if always_blocks:
            return _map_dynamic(function, arguments, num_rows)
        return ops.cond(
            num_rows <= DIRECT_LIMIT,
            lambda: function(None, None, *arguments),
            lambda: _map_dynamic(function, arguments, num_rows),
        )
    if num_rows <= DIRECT_LIMIT:
        return function(None, None, *arguments)
    return _map_static(function, arguments, num_rows, direction)


def _map_static(function, arguments, num_rows, direction):
    blocks = []
    for start in range(0, num_rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, num_rows)
        first, last = (0, stop) if direction == "forward" else (start, num_rows)
        rows, columns = ops.arange(start, stop), ops.arange(first, last)
        blocks.append(_recomputed(function, rows, columns)(*arguments))
    return ops.concatenate(blocks, axis=-2)


def _map_dynamic(function, arguments, num_rows):
    num_blocks = (num_rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    starts = ops.arange(num_blocks) * BLOCK_ROWS
    offsets = ops.arange(BLOCK_ROWS)

    def one_block(start):
        rows = ops.minimum(start + offsets, num_rows - 1)
        return _recomputed(function, rows, None)(*arguments)

    blocks = ops.map(one_block, starts)  # (blocks, ..., BLOCK_ROWS, X)
    blocks = ops.moveaxis(blocks, 0, -3)  # (..., blocks, BLOCK_ROWS, X)
    shape = ops.shape(blocks)
    joined = ops.reshape(blocks, (*shape[:-3], -1, shape[-1]))
    return joined[..., :num_rows, :]


def _recomputed(function, rows, columns):
    return keras.remat(lambda *arguments: function(rows, columns, *arguments))
