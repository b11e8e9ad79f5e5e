"""Graphs of either form by rows; long ones in blocks, in memory linear in T.

A factored graph can be cut into *strips*: a few groups of rows, each with only
the columns that the direction lets it reach, which leaves three eighths of the
graph out. Beyond `DIRECT_LIMIT` positions, where the T x T graph itself is not
wanted, each strip goes by *blocks* of rows, one after the other; a block is
computed again in the backward pass instead of being kept.
"""

import itertools

import keras
from keras import ops

from glomo_keras.ops.equations import admissible_edges
from glomo_keras.ops.equations import edge_weights
from glomo_keras.ops.equations import inverse_row_sums
from glomo_keras.ops.equations import squared_relu_graph
from glomo_keras.ops.graphs import KEYS
from glomo_keras.ops.graphs import direction_of
from glomo_keras.ops.graphs import graph_length
from glomo_keras.ops.graphs import is_factored
from glomo_keras.ops.graphs import keys_of
from glomo_keras.ops.graphs import mask_of
from glomo_keras.ops.graphs import without_mask

DIRECT_LIMIT = 512
BLOCK_ROWS = 128
NUM_STRIPS = 4
STRIP_UNIT = 8
"""Rows of a strip that is not cut into blocks: a multiple of this number."""


def materialize(graph, activation="squared_relu"):
    """Returns the graph of Eq. 1 as a float32 tensor, `(B, [L,] K, T, T)`.

    A materialised graph is only cast. Factors that have `positions` give
    these rows alone, `(B, K, N, T)`.

    Args:
        graph: Materialised or factored graph.
        activation: Of `equations.squared_relu_graph`, for factors. Defaults
            to `"squared_relu"`.
    """
    if not is_factored(graph):
        return ops.cast(graph, "float32")
    length = graph_length(graph)
    if "positions" in graph or not _is_at_least(length, DIRECT_LIMIT):
        return squared_relu_graph(*_equation_inputs(graph), activation)
    strips = []
    for _, columns, strip in graph_strips(graph, activation):
        margins = (columns.start, length - columns.stop)
        padding = [(0, 0)] * (len(strip.shape) - 1)
        strips.append(ops.pad(strip, [*padding, margins]))
    return ops.concatenate(strips, axis=-2)


def graph_strips(graph, activation="squared_relu"):
    """Yields the graph of Eq. 1 strip by strip.

    Args:
        graph: Factored graph, of one layer or of all.
        activation: Of `equations.squared_relu_graph`. Defaults to
            `"squared_relu"`.

    Yields:
        Tuples `(rows, columns, strip)`: slices of the positions, and these
        rows and columns of the graph, float32 `(B, [L,] K, R, S)`.
    """
    strips = _strips(graph_length(graph), direction_of(graph), STRIP_UNIT)
    for rows, columns in strips:
        inputs = _equation_inputs(
            _take_columns(graph, columns), _range(rows), _range(columns)
        )
        yield rows, columns, squared_relu_graph(*inputs, activation)


def edge_rows(graph, rows=None, columns=None):
    """Returns rows of one layer's graph before normalisation.

    Args:
        graph: One layer of a graph: `(B, K, T, T)` or its factors.
        rows: Integer tensor `(R,)`, the receivers wanted; `None` for all, or
            for the `positions` of the factors. Defaults to `None`.
        columns: Integer tensor `(S,)`, where the sources of a factored graph
            stand; `None` if it has all T. Defaults to `None`.

    Returns:
        Tuple `(weights, inverse_sums)`: float32 `(B, K, R, S)` and
        `(B, K, R, 1)`; `None` in place of the latter for a materialised
        graph, whose rows are normalised.
    """
    if not is_factored(graph):
        return ops.cast(_take(graph, rows, -2), "float32"), None
    weights = edge_weights(*_equation_inputs(graph, rows, columns))
    return weights, inverse_row_sums(weights)


def _equation_inputs(graph, rows=None, columns=None):
    """Returns queries, keys, thresholds and admissible edges, for Eq. 1."""
    taken = None if "positions" in graph else rows
    rows = graph.get("positions", rows)
    keys = keys_of(graph)
    if columns is None:
        columns = ops.arange(ops.shape(keys)[-2], dtype="int32")
    admissible = admissible_edges(
        columns if rows is None else rows,
        columns,
        direction_of(graph),
        mask_of(graph),
    )
    if len(admissible.shape) == 4 and len(keys.shape) == 5:
        admissible = admissible[:, None]  # (B, 1, 1, R, S)
    queries = _take(graph["queries"], taken, -2)
    thresholds = _take(graph["thresholds"], taken, -1)
    return queries, keys, thresholds, admissible


def map_rows(function, graph, values, *others, dynamic_blocks=False):
    """Applies a row-wise function to all rows of one layer's graph.

    Args:
        function: Called as `function(rows, columns, graph, values, *others)`
            with `rows` and `columns` as `edge_rows` takes them and the
            columns of graph and values that it needs; returns a tensor
            `(..., R, X)`.
        graph: One layer of a graph, of either form.
        values: List of tensors `(B, K or 1, T, d)` of the sources.
        *others: Nested floating-point tensors. All that a gradient is to
            reach must be an argument: `keras.remat` does not see closures.
        dynamic_blocks: Whether a factored graph goes by blocks, rather than
            at once, if its length is not static (TensorFlow alone). A choice
            at run time would slow every training step. Defaults to `False`.

    Returns:
        Tensor `(..., T, X)`.
    """
    length = graph_length(graph)
    if not is_factored(graph) or not (
        _is_at_least(length, DIRECT_LIMIT + 1)
        or (dynamic_blocks and not isinstance(length, int))
    ):
        return function(None, None, graph, values, *others)
    mask, floats = mask_of(graph), without_mask(graph)

    def masked_function(rows, columns, graph, *arguments):
        if mask is not None:
            graph = {**graph, "padding_mask": mask}
        return function(rows, columns, graph, *arguments)

    if isinstance(length, int):
        parts = _strips(length, direction_of(graph), BLOCK_ROWS)
    else:
        parts = [(slice(0, length), slice(0, length))]
    strips, previous = [], None
    for rows, columns in parts:
        taken = [value[..., columns, :] for value in values]
        arguments = (_take_columns(floats, columns), taken, *others)
        previous = _map_blocks(
            masked_function, arguments, rows, _range(columns), previous
        )
        strips.append(previous)
    return ops.concatenate(strips, axis=-2)


def supports_jit(length):
    """Returns whether XLA compiles the gradient of a graph in blocks.

    In TensorFlow, XLA has no gradient for a loop whose number of steps is
    unknown when it is traced, whatever the inputs turn out to be.

    Args:
        length: T as in a shape, `None` where it is dynamic.
    """
    return length is not None or keras.config.backend() != "tensorflow"


def _is_at_least(length, limit):
    return isinstance(length, int) and length >= limit


def _strips(length, direction, unit):
    """Yields the rows and the reachable columns of each strip, as slices.

    Strips have the same number of rows, a multiple of `unit`, until the rows
    run out. A dynamic length has `NUM_STRIPS` strips in TensorFlow, the last
    of which may be empty, and one elsewhere.
    """
    size = unit * -(-length // (unit * NUM_STRIPS))
    if isinstance(length, int):
        starts = range(0, length, size) if length else (0,)
        bounds = [(start, min(start + size, length)) for start in starts]
    elif keras.config.backend() == "tensorflow":
        limits = [ops.minimum(i * size, length) for i in range(NUM_STRIPS + 1)]
        bounds = itertools.pairwise(limits)
    else:  # only TensorFlow slices at bounds that are tensors
        bounds = [(0, length)]
    for start, stop in bounds:
        reach = (0, stop) if direction == "forward" else (start, length)
        yield slice(start, stop), slice(*reach)


def _range(positions):
    """Returns the positions of a slice as a tensor."""
    return ops.arange(positions.start, positions.stop, dtype="int32")


def _take_columns(graph, columns):
    name = KEYS[direction_of(graph)]
    return {**graph, name: graph[name][..., columns, :]}


def _take(tensor, indices, axis):
    return tensor if indices is None else ops.take(tensor, indices, axis=axis)


def _map_blocks(function, arguments, rows, columns, previous):
    """Applies the function to the rows of a slice, block after block."""
    start, stop = rows.start, rows.stop

    def rows_from(start, count):
        block = start + ops.arange(count, dtype="int32")
        block = ops.minimum(block, stop - 1)
        return keras.remat(lambda *args: function(block, columns, *args))(
            *arguments
        )

    if keras.config.backend() != "tensorflow":
        blocks = [
            rows_from(first, min(BLOCK_ROWS, stop - first))
            for first in range(start, stop, BLOCK_ROWS)
        ]
        return ops.concatenate(blocks, axis=-2)

    def next_block(_, start):
        block = rows_from(start, BLOCK_ROWS)
        return block, block

    # A block is carried on so that the next has to wait for it: TensorFlow
    # would otherwise compute many at a time and hold all their edges.
    num_blocks = (stop - start + BLOCK_ROWS - 1) // BLOCK_ROWS
    starts = start + BLOCK_ROWS * ops.arange(num_blocks, dtype="int32")
    if previous is not None:
        starts = _after(previous, starts)
    row = function(ops.arange(1, dtype="int32"), columns, *arguments)
    zeros = ops.repeat(ops.zeros_like(row), BLOCK_ROWS, axis=-2)
    _, blocks = ops.scan(next_block, zeros, starts)
    blocks = ops.moveaxis(blocks, 0, -3)  # (..., blocks, BLOCK_ROWS, X)
    shape = ops.shape(blocks)
    joined = ops.reshape(blocks, (*shape[:-3], -1, shape[-1]))
    return joined[..., : stop - start, :]


def _after(tensor, numbers):
    """Returns the integers, but makes them wait for the tensor."""
    known = ops.any(tensor[..., -1, -1] > 0)
    return numbers + ops.minimum(ops.cast(known, "int32"), 0)
