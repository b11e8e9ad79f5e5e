"""Edges of graphs as arrays."""

import numpy as np

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import GRAPHS
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.ops.graphs import direction_of
from glomo_keras.ops.graphs import is_factored
from glomo_keras.ops.streaming import materialize
from glomo_keras.utils.graph_arrays import as_array
from glomo_keras.utils.graph_arrays import check_axes
from glomo_keras.utils.graph_arrays import check_weights
from glomo_keras.utils.graph_arrays import checked_mask
from glomo_keras.utils.graph_arrays import side_of
from glomo_keras.utils.validation import check_option

SIDES = (*DIRECTIONS, "both")
INDICES = ("example", "layer", "head", "receiver", "source")


def graph_edges(graphs, padding_mask=None, direction=None):
    """Returns the edges of graphs as arrays, one entry for each edge.

    A zero is no edge. The arrays keep what the graphs hold: the weights of a
    receiver have the sum that its row has, and `dense_graphs` makes the
    graphs of them again, bit by bit. `pandas.DataFrame(edges)` makes a table,
    `to_networkx` and `to_pytorch_geometric` make graphs of other libraries.

    Args:
        graphs: dict of `forward_graphs` and `backward_graphs` (or one of
            them), as predictors return it, or one of its values: array
            `(B, L, K, T, T)`, rows are receivers, or the dict of its factors,
            see `glomo_keras.ops.graphs`.
        padding_mask: boolean array `(B, T)`, True = real position. Edges from
            and to padding are left out. Defaults to None: all are real.
        direction: what the entry `direction` says of an array: `"forward"`,
            `"backward"`, `"both"`, or None, which reads it off the edges.
            Graphs of a dict and factors know theirs. Defaults to None.

    Returns:
        Dict of arrays of one length, ordered by direction, example, layer,
        head, receiver and source. `example`, `layer`, `head`, `source` and
        `receiver` are int32 and count from 0, as the axes of a graph do;
        `weight` has the dtype of the graphs, `direction` holds strings.

    Raises:
        ValueError: If a graph has another rank or is not square, the mask is
            not of the form above, or a weight is negative or not finite.

    Example:

    >>> graph = np.array([[0, 0, 0], [1, 0, 0], [0.25, 0.75, 0]])
    >>> edges = graph_edges(graph[None, None, None])
    >>> edges["receiver"], edges["source"], edges["weight"]
    ... # doctest: +NORMALIZE_WHITESPACE
    (array([1, 2, 2], dtype=int32), array([0, 0, 1], dtype=int32),
     array([1.  , 0.25, 0.75]))
    """
    check_option("direction", direction, (*SIDES, None))
    return _joined(
        [
            _edges_of(graph, padding_mask, side)
            for side, graph in by_side(graphs, direction)
        ]
    )


def dense_graphs(edges, shape):
    """Makes graphs from the arrays of `graph_edges`.

    Args:
        edges: dict of arrays, as `graph_edges` returns it, or a DataFrame.
        shape: `(B, L, K, T, T)`, of the graphs.

    Returns:
        Dict of arrays of this shape: `forward_graphs` and so on, those of
        which there is an edge.

    Raises:
        ValueError: If an edge does not fit into the shape or stands there
            twice.

    Example:

    >>> graph = np.eye(3, k=-1)[None, None, None]
    >>> dense = dense_graphs(graph_edges(graph), graph.shape)
    >>> bool((dense["forward_graphs"] == graph).all())
    True
    """
    columns = as_columns(edges)
    ends = [columns[name].max(initial=-1) + 1 for name in INDICES]
    ends = tuple(int(end) for end in ends)
    if len(shape) != len(ends) or any(np.less(shape, ends)):
        raise ValueError(
            "`shape` must be (B, L, K, T, T) and hold all edges, which need "
            f"at least {ends}. Received: shape={shape}"
        )
    graphs = {}
    for side in SIDES:
        chosen = columns["direction"] == side
        if chosen.any():
            graph = np.zeros(shape, columns["weight"].dtype)
            places = tuple(columns[name][chosen] for name in INDICES)
            present = np.zeros(shape, "bool")
            present[places] = True
            if present.sum() < chosen.sum():
                raise ValueError(
                    "`edges` must not hold an edge twice: where batches are "
                    "joined, give each text an `example` of its own. "
                    f"Received: {side} edges, some of them twice"
                )
            graph[places] = columns["weight"][chosen]
            graphs[f"{side}_graphs"] = graph
    return graphs


def as_columns(edges):
    """Converts a dict or a DataFrame to a dict of arrays."""
    return {name: np.asarray(values) for name, values in edges.items()}


def by_side(graphs, direction):
    """Returns pairs of side and graph, from any form `graph_edges` takes."""
    if isinstance(graphs, dict) and not set(graphs) & set(GRAPHS):
        return [(direction_of(graphs), graphs)]
    if isinstance(graphs, dict):
        return [
            (side, graphs[f"{side}_graphs"])
            for side in checked_directions(graphs)
        ]
    graphs = as_array(graphs)
    return [(direction or side_of(graphs), graphs)]


def _edges_of(graph, padding_mask, side):
    """Returns the entries of `graph_edges` for one direction."""
    graph = as_array(materialize(graph) if is_factored(graph) else graph)
    check_axes(graph, 5)
    present = graph != 0
    if padding_mask is not None:
        real = checked_mask(padding_mask, (graph.shape[0], graph.shape[-1]))
        pairs = real[:, :, None] & real[:, None]  # (B, T, T)
        present &= pairs[:, None, None]
    weights = graph[present]
    check_weights(weights)
    direction = np.full(len(weights), side, "U8")
    return {**_places(present), "weight": weights, "direction": direction}


def _places(present):
    """Returns what `np.nonzero` would, as int32, from the edge counts of rows.

    Repeating the few indices of an axis takes a quarter of the time.
    """
    source = np.arange(present.shape[-1], dtype="int32")
    source = np.broadcast_to(source, present.shape)[present]
    counts = np.count_nonzero(present, axis=-1)  # (B, L, K, T)
    places = []
    for axis in reversed(range(counts.ndim)):
        index = np.arange(counts.shape[axis], dtype="int32")
        index = np.broadcast_to(index, counts.shape)
        places.append(np.repeat(index.reshape(-1), counts.reshape(-1)))
        counts = counts.sum(-1)
    return dict(zip(INDICES, [*reversed(places), source], strict=True))


def _joined(parts):
    """Joins several dicts of arrays to one."""
    return {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }
