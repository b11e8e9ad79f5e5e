"""The two forms of a graph, and what both can be asked for.

*Materialised*: a tensor `(B, L, K, T, T)`. *Factored*: a dict with `queries`
and `keys` `(B, L, K, T, C)`, `thresholds` `(B, L, K, T)` and, where units are
padded, `padding_mask` `(B, T)`: linear in T. One layer of a graph lacks the
axis L. One whose queries and thresholds are there for some rows only has
these as `positions`, an integer tensor `(N,)`.
"""

import itertools

from keras import ops

from glomo_keras.ops.edges import admissible_edges
from glomo_keras.ops.edges import edge_weights
from glomo_keras.ops.edges import normalize_rows
from glomo_keras.ops.edges import row_sums

FACTORS = ("queries", "keys", "thresholds")
GROUPED_LENGTH = 512
ROW_GROUPS = 4
LEAST_ROWS = 16


def is_factored(graph):
    """Whether `graph` (or its shape) is the dict of the factored form."""
    return isinstance(graph, dict)


def graph_shape(shapes):
    """The materialised shape that a shape of either form stands for.

    Args:
        shapes: a shape tuple, or a dict of shape tuples.

    Returns:
        `(B, L, K, T, T)`, or `(B, K, T, T)` for one layer.

    Raises:
        ValueError: a dict that lacks a factor, or factors that disagree.
    """
    if not is_factored(shapes):
        return tuple(shapes)
    missing = [name for name in FACTORS if name not in shapes]
    if missing:
        raise ValueError(
            "A factored graph is a dict with the entries "
            f"{FACTORS} (and optionally 'padding_mask'). "
            f"Received: a dict with the entries {sorted(shapes)}"
        )
    queries, keys, thresholds = (tuple(shapes[name]) for name in FACTORS)
    if len(queries) != len(keys) or len(thresholds) != len(queries) - 1:
        raise ValueError(
            "`queries` and `keys` must have one rank, `thresholds` one less. "
            f"Received: queries.shape={queries}, keys.shape={keys}, "
            f"thresholds.shape={thresholds}"
        )
    return (*queries[:-1], keys[-2])


def split_layers(graph):
    """The layers of a graph one by one, in the form that the graph has.

    One `unstack` a factor: the gradient of slices would fill up and add as
    many arrays of all layers as there are layers.

    Args:
        graph: materialised or factored, with the axis L.

    Returns:
        List of L graphs of the same form without the axis L.
    """
    if not is_factored(graph):
        return ops.unstack(graph, axis=1)
    factors = [ops.unstack(graph[name], axis=1) for name in FACTORS]
    mask = {n: graph[n] for n in graph if n == "padding_mask"}
    return [
        {**dict(zip(FACTORS, layer, strict=True)), **mask}
        for layer in zip(*factors, strict=True)
    ]


def join_layers(layers):
    """One factored graph of the layers, each without the axis L."""
    factors = {
        name: ops.stack([layer[name] for layer in layers], axis=1)
        for name in FACTORS
    }
    mask = {n: layers[0][n] for n in layers[0] if n == "padding_mask"}
    return {**factors, **mask}


def layers_and_heads(graph):
    """`(L, K)` of a graph that has the axis L."""
    tensor = graph["keys"] if is_factored(graph) else graph
    return tensor.shape[1], tensor.shape[2]


def num_units(graph):
    """T: static where it is known, else a scalar tensor."""
    tensor = graph["keys"] if is_factored(graph) else graph
    return ops.shape(tensor)[-2]


def float_factors(graph):
    """The graph without its mask: what `keras.remat` takes as an argument."""
    if not is_factored(graph):
        return graph
    return {name: graph[name] for name in FACTORS}


def combined_mask(graph, padding_mask):
    """The padding mask given and the graph's own, whichever there are."""
    own = graph.get("padding_mask") if is_factored(graph) else None
    if own is None or padding_mask is None:
        return padding_mask if own is None else own
    return ops.logical_and(own, padding_mask)


def take_units(tensor, units, axis):
    """`ops.take`, or the whole axis where `units` is None."""
    return tensor if units is None else ops.take(tensor, units, axis=axis)


def take_columns(graph, columns):
    """One layer's graph with a slice of its columns, the sources."""
    if not is_factored(graph):
        return graph[..., columns]
    return {**graph, "keys": graph["keys"][..., columns, :]}


def graph_rows(graph, rows, columns, *, padding_mask, direction, activation):
    """Some rows of one layer's graph, before normalisation.

    Args:
        graph: one layer, `(B, K, T, S)` or its factors, with all columns or
            what `take_columns` gave. All that the rows may draw on must be
            among them.
        rows: integer tensor `(R,)`, the receivers wanted; all if None.
        columns: integer tensor `(S,)`, where the sources stand; None if all
            are there.
        padding_mask: boolean `(B, T)` or None; used by the factored form.
        direction: `"forward"` or `"backward"`; factored form.
        activation: see `edge_weights`; factored form.

    Returns:
        `(weights, sums)`: float32 `(B, K, R, S)`, and the row sums
        `(B, K, R, 1)` by which to divide, or None for a materialised graph,
        whose rows are normalised.
    """
    if not is_factored(graph):
        return ops.cast(take_units(graph, rows, -2), "float32"), None
    units = ops.arange(num_units(graph))
    taken = None if "positions" in graph else rows
    weights = edge_weights(
        take_units(graph["queries"], taken, -2),
        graph["keys"],
        take_units(graph["thresholds"], taken, -1),
        admissible_edges(
            units if rows is None else rows,
            units if columns is None else columns,
            direction,
            padding_mask,
        ),
        activation,
    )
    return weights, row_sums(weights)


def materialize(graph, *, padding_mask=None, direction, activation):
    """The graph as a float32 tensor `(B, [L,] K, T, T)`; rows sum to 1 or 0.

    A materialised graph is only cast: its rows are what they are. A long one,
    whose length is static, is put together from its `row_groups`.
    """
    if not is_factored(graph):
        return ops.cast(graph, "float32")
    length = num_units(graph)
    options = {
        "padding_mask": combined_mask(graph, padding_mask),
        "direction": direction,
        "activation": activation,
    }
    if not isinstance(length, int) or length < GROUPED_LENGTH:
        units = ops.arange(length)
        return _normalized(graph, units, units, **options)
    return join_row_groups(graph, **options)


def join_row_groups(graph, count=ROW_GROUPS, **options):
    """A factored graph of static length, put together from `row_groups`."""
    length = num_units(graph)
    groups = []
    for _, columns, group in row_groups(graph, count, **options):
        margins = (columns.start, length - columns.stop)
        padding = [(0, 0)] * (len(group.shape) - 1)
        groups.append(ops.pad(group, [*padding, margins]))
    return ops.concatenate(groups, axis=-2)


def row_groups(
    graph, count=ROW_GROUPS, *, padding_mask=None, direction, activation
):
    """A factored graph by groups of rows, without what the direction rules out.

    Each group has only the columns that its rows can draw on: of four groups,
    three eighths of a graph are never computed, and less memory is held at a
    time.

    Args:
        graph: factored, of one layer or all.
        count: int, the groups; fewer if a group had less than 16 rows.
        padding_mask: boolean `(B, T)` or None.
        direction: `"forward"` or `"backward"`.
        activation: see `edge_weights`.

    Yields:
        `(rows, columns, group)`: two slices of the units and the float32
        tensor `(B, [L,] K, R, S)` of these rows and columns.
    """
    length = num_units(graph)
    if isinstance(length, int):
        count = max(1, min(count, length // LEAST_ROWS))
    bounds = [index * length // count for index in range(count + 1)]
    for start, stop in itertools.pairwise(bounds):
        first, last = (0, stop) if direction == "forward" else (start, length)
        rows, columns = slice(start, stop), slice(first, last)
        group = _normalized(
            _take_block(graph, rows, columns),
            ops.arange(start, stop),
            ops.arange(first, last),
            padding_mask=padding_mask,
            direction=direction,
            activation=activation,
        )
        yield rows, columns, group


def _take_block(graph, rows, columns):
    return {
        "queries": graph["queries"][..., rows, :],
        "keys": graph["keys"][..., columns, :],
        "thresholds": graph["thresholds"][..., rows],
    }


def _normalized(graph, rows, columns, *, padding_mask, direction, activation):
    """The graph from factors of these rows and columns only."""
    admissible = admissible_edges(rows, columns, direction, padding_mask)
    if len(graph["keys"].shape) == 5 and padding_mask is not None:
        admissible = ops.expand_dims(admissible, 1)  # (B, 1, 1, R, S)
    weights = edge_weights(
        *(graph[name] for name in FACTORS), admissible, activation
    )
    return normalize_rows(weights)
