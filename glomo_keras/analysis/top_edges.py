"""The edges of a text that say most."""

from typing import NamedTuple

import numpy as np

from glomo_keras.analysis.edges import by_side
from glomo_keras.utils.graph_arrays import admissible_pairs
from glomo_keras.utils.graph_arrays import as_array
from glomo_keras.utils.graph_arrays import check_axes
from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.graph_arrays import check_weights
from glomo_keras.utils.graph_arrays import ratio
from glomo_keras.utils.validation import check_option
from glomo_keras.utils.validation import check_positive

PLACES = ("layer", "head", "receiver", "source")
ROUNDING = 1e-6  # of a weight; what exceeds a uniform share by less does not


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
    graphs = _of_one_text(graphs)
    for _, graph in graphs:
        check_names(tokens, graph.shape[-1], "tokens")
    _check_chosen("direction", direction, [side for side, _ in graphs])
    if direction is not None:
        graphs = [pair for pair in graphs if pair[0] == direction]
    edges = _ranked(graphs, k, layer, head)
    columns = [values.tolist() for values in edges.values()]
    return [
        Edge(
            tokens[receiver],
            tokens[source],
            weight,
            excess,
            receiver,
            source,
            layer + 1,
            head + 1,
            side,
        )
        for layer, head, receiver, source, weight, excess, side in zip(
            *columns, strict=True
        )
    ]


def ranked_edges(graphs, k):
    """Returns what `top_edges` finds as arrays, for many texts.

    Args:
        graphs, k: See `top_edges`.

    Returns:
        Dict of arrays of one length, at most k: `layer`, `head`, `receiver`
        and `source`, int32 from 0, `weight`, `excess`, float64, and
        `direction`, strings.

    Raises:
        ValueError: see `top_edges`.
    """
    return _ranked(_of_one_text(graphs), k)


def _of_one_text(graphs):
    """Pairs of side and graph `(L, K, T, T)`."""
    pairs = []
    for side, graph in by_side(graphs, None):
        graph = as_array(graph)
        if graph.ndim == 2:
            graph = graph[None, None]
        check_axes(graph, 4, "graphs")
        check_weights(graph)
        pairs.append((side, graph))
    return pairs


def _ranked(graphs, k, layer=None, head=None):
    check_positive(k=k)
    shape = graphs[0][1].shape
    _check_chosen("layer", layer, range(1, shape[0] + 1))
    _check_chosen("head", head, range(1, shape[1] + 1))
    parts = [_telling(*pair, layer, head) for pair in graphs]
    excess = np.concatenate([part["excess"] for part in parts])
    chosen = _strongest(excess, k)
    return {
        name: np.concatenate([part[name] for part in parts])[chosen]
        for name in parts[0]
    }


def _telling(side, graph, layer, head):
    """The edges that exceed the uniform share of their row."""
    excess = graph - _uniform_shares(graph.shape[-1], side)  # (L, K, T, T)
    wanted = excess > ROUNDING
    if layer is not None:
        wanted[np.arange(len(graph)) != layer - 1] = False
    if head is not None:
        wanted[:, np.arange(graph.shape[1]) != head - 1] = False
    places = np.flatnonzero(wanted)
    indices = np.unravel_index(places, graph.shape)
    edges = {
        name: index.astype("int32")
        for name, index in zip(PLACES, indices, strict=True)
    }
    edges["weight"] = graph.reshape(-1)[places]
    edges["excess"] = excess.reshape(-1)[places]
    edges["direction"] = np.full(len(places), side, "U8")
    return edges


def _strongest(excess, k):
    """Places of the k largest; of equal ones the first come first."""
    if len(excess) > k:
        least = np.partition(excess, -k)[-k]
        places = np.flatnonzero(excess >= least)
    else:
        places = np.arange(len(excess))
    return places[np.argsort(-excess[places], kind="stable")[:k]]


def _uniform_shares(length, side):
    """The uniform share of each row, `(T, 1)`; inf where edges are forced."""
    counts = admissible_pairs(length, side).sum(1, keepdims=True)
    return np.where(counts > 1, ratio(1, counts), np.inf)


def _check_chosen(name, value, options):
    if value is not None:
        check_option(name, value, options)
