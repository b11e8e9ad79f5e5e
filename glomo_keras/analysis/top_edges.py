"""The strongest edges of a text."""

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
# A smaller excess, or one within the rounding of the dtype, counts as none.
ROUNDING = 1e-6


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
    """Returns the edges of a text with the largest excess, largest first.

    The excess of an edge is its weight less the uniform share of its row,
    1 / n for a row with n admissible sources. The admissible sources of a
    forward graph are the positions before the receiver, those of a backward
    graph the positions after it; a graph with edges on both sides, whatever
    its name, may have all. Edges without an excess are left out, and so are
    rows with a single admissible source, whose weight is forced.

    Args:
        graphs: array `(T, T)` or `(L, K, T, T)` without padding, rows are
            receivers, or a dict of `forward_graphs` and `backward_graphs` (or
            one of them) of such arrays.
        tokens: sequence of T strings.
        k: int, the most edges to return. Defaults to 5.
        layer: int from 1, the only layer to look at. Defaults to None, all.
        head: int from 1, the only head to look at. Defaults to None, all.
        direction: `"forward"` or `"backward"`, the only direction to look at.
            Defaults to None, both.

    Returns:
        List of named tuples `Edge`: `receiver` and `source` (tokens),
        `weight`, `excess`, `receiver_position` and `source_position` from 0,
        `layer` and `head` from 1, `direction`. Edges of equal excess come in
        the order of `graph_edges`.

    Raises:
        ValueError: If a graph has another rank, negative or non-finite
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
    check_option("direction", direction, (*dict(graphs), None))
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
    """Does what `top_edges` does, but returns arrays.

    Args:
        graphs, k: See `top_edges`.

    Returns:
        Dict of arrays of one length, at most k: `layer`, `head`, `receiver`
        and `source`, int32 from 0, `weight`, `excess`, float64, and
        `direction`, strings.

    Raises:
        ValueError: See `top_edges`.
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
    check_option("layer", layer, (*range(1, shape[0] + 1), None))
    check_option("head", head, (*range(1, shape[1] + 1), None))
    parts = [_exceeding(*pair, layer, head) for pair in graphs]
    excess = np.concatenate([part["excess"] for part in parts])
    chosen = _strongest(excess, k)
    return {
        name: np.concatenate([part[name] for part in parts])[chosen]
        for name in parts[0]
    }


def _exceeding(side, graph, layer, head):
    """The edges of one direction that have an excess."""
    length = graph.shape[-1]
    both_sides = (graph * ~admissible_pairs(length, side)).any()
    shares = _uniform_shares(length, "both" if both_sides else side)
    excess = graph - shares  # (L, K, T, T)
    rounding = np.spacing(np.ones((), graph.dtype)).astype("float64")
    wanted = excess > np.maximum(ROUNDING, rounding * graph)
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
