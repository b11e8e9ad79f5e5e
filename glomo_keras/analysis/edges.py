"""Edges of graphs as arrays, and the strongest of them."""

from typing import NamedTuple

import numpy as np

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.ops.graphs import direction_of
from glomo_keras.ops.graphs import is_factored
from glomo_keras.ops.streaming import materialize
from glomo_keras.utils.graph_arrays import admissible_pairs
from glomo_keras.utils.graph_arrays import as_array
from glomo_keras.utils.graph_arrays import check_axes
from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.graph_arrays import check_weights
from glomo_keras.utils.graph_arrays import checked_mask
from glomo_keras.utils.graph_arrays import ratio
from glomo_keras.utils.graph_arrays import side_of
from glomo_keras.utils.validation import check_option
from glomo_keras.utils.validation import check_positive

SIDES = (*DIRECTIONS, "both")
GRAPHS = {f"{direction}_graphs" for direction in DIRECTIONS}
INDICES = ("example", "layer", "head", "receiver", "source")
ROUNDING = 1e-6  # of a weight; what exceeds a uniform share by less does not


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
        ValueError: if a graph has another rank or is not square, the mask is
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
            for side, graph in _by_side(graphs, direction)
        ]
    )


def dense_graphs(edges, shape):
    """Makes graphs of the arrays of `graph_edges`.

    Args:
        edges: dict of arrays, as `graph_edges` returns it, or a DataFrame.
        shape: `(B, L, K, T, T)`, of the graphs.

    Returns:
        Dict of arrays of this shape: `forward_graphs` and so on, those of
        which there is an edge.

    Example:

    >>> graph = np.eye(3, k=-1)[None, None, None]
    >>> dense = dense_graphs(graph_edges(graph), graph.shape)
    >>> bool((dense["forward_graphs"] == graph).all())
    True
    """
    columns = {name: np.asarray(values) for name, values in edges.items()}
    graphs = {}
    for side in SIDES:
        chosen = columns["direction"] == side
        if chosen.any():
            graph = np.zeros(shape, columns["weight"].dtype)
            places = tuple(columns[name][chosen] for name in INDICES)
            graph[places] = columns["weight"][chosen]
            graphs[f"{side}_graphs"] = graph
    return graphs


class Edge(NamedTuple):
    """One edge of a text. Positions count from 0, layers and heads from 1."""

    receiver: str
    source: str
    weight: float
    excess: float
    receiver_position: int
    source_position: int
    layer: int
    head: int
    direction: str


def top_edges(graphs, tokens, k=5, *, layer=None, head=None, direction=None):
    """Returns the edges of a text that say most, the strongest first.

    The rank of an edge is its excess: its weight less the uniform share of
    its row, 1 / n for a row with n admissible sources. Rows with a single
    admissible source, whose weight could not be otherwise, are left out, and
    so are edges that do not exceed the share. Of a forward graph the
    admissible sources are the positions before the receiver, of a backward
    graph those after it; a graph with edges on both sides may have all.

    Args:
        graphs: array `(T, T)` or `(L, K, T, T)` without padding, rows are
            receivers, or a dict of `forward_graphs` and `backward_graphs` (or
            one of them) of such arrays.
        tokens: sequence of T strings.
        k: int, the largest number of edges. Defaults to 5.
        layer: int from 1, edges of this layer alone. Defaults to None, all.
        head: int from 1, edges of this head alone. Defaults to None, all.
        direction: `"forward"` or `"backward"`, edges of this direction alone.
            Defaults to None, all.

    Returns:
        List of named tuples `Edge`: `receiver` and `source` (tokens),
        `weight`, `excess`, `receiver_position` and `source_position` from 0,
        `layer` and `head` from 1, `direction`. Edges of the same excess come
        in the order of `graph_edges`.

    Raises:
        ValueError: if a graph has another rank, negative or non-finite
            entries, the tokens are not T, a number is not positive, or there
            is no such layer, head or direction.

    Example:

    >>> graph = [[0, 0, 0], [1, 0, 0], [0.2, 0.8, 0]]
    >>> [edge] = top_edges(graph, ["the", "cat", "sat"])
    >>> edge.receiver, edge.source, edge.weight, round(edge.excess, 3)
    ('sat', 'cat', 0.8, 0.3)
    """
    check_positive(k=k)
    graphs = [
        (side, _one_text(graph, tokens))
        for side, graph in _by_side(graphs, None)
    ]
    shape = graphs[0][1].shape
    _check_chosen("layer", layer, range(1, shape[1] + 1))
    _check_chosen("head", head, range(1, shape[2] + 1))
    _check_chosen("direction", direction, [side for side, _ in graphs])
    edges = _joined([_edges_of(graph, None, side) for side, graph in graphs])
    excess = edges["weight"] - _uniform_shares(edges, len(tokens))
    wanted = excess > ROUNDING
    for name, number in (("layer", layer), ("head", head)):
        if number is not None:
            wanted &= edges[name] == number - 1
    if direction is not None:
        wanted &= edges["direction"] == direction
    places = np.flatnonzero(wanted)
    places = places[np.argsort(-excess[places], kind="stable")[:k]]
    return [_edge(edges, excess, tokens, place) for place in places]


def _by_side(graphs, direction):
    """Pairs of side and graph, of all that `graph_edges` takes."""
    if isinstance(graphs, dict) and not set(graphs) & GRAPHS:
        return [(direction_of(graphs), graphs)]
    if isinstance(graphs, dict):
        return [
            (side, graphs[f"{side}_graphs"])
            for side in checked_directions(graphs)
        ]
    graphs = as_array(graphs)
    return [(direction or side_of(graphs), graphs)]


def _edges_of(graph, padding_mask, side):
    """The entries of `graph_edges` of one direction."""
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
    """What `np.nonzero` gives, as int32, from the counts of edges in rows.

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
    """One dict of arrays for several."""
    return {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }


def _one_text(graph, tokens):
    """Graphs of one text as `(1, L, K, T, T)`."""
    graph = as_array(graph)
    if graph.ndim == 2:
        graph = graph[None, None]
    check_axes(graph, 4, "graphs")
    check_names(tokens, graph.shape[-1], "tokens")
    return graph[None]


def _check_chosen(name, value, options):
    if value is not None:
        check_option(name, value, options)


def _uniform_shares(edges, length):
    """Of each edge the uniform share of its row; inf if it is forced."""
    counts = {
        side: admissible_pairs(length, side).sum(1) for side in SIDES
    }  # (T,) each
    sources = np.empty(len(edges["weight"]))
    for side in set(edges["direction"]):
        chosen = edges["direction"] == side
        sources[chosen] = counts[side][edges["receiver"][chosen]]
    return np.where(sources > 1, ratio(1, sources), np.inf)


def _edge(edges, excess, tokens, place):
    names = ("receiver", "source", "layer", "head")
    receiver, source, layer, head = (int(edges[name][place]) for name in names)
    return Edge(
        tokens[receiver],
        tokens[source],
        float(edges["weight"][place]),
        float(excess[place]),
        receiver,
        source,
        layer + 1,
        head + 1,
        edges["direction"][place],
    )
