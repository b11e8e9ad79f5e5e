"""The strongest edges of a graph."""

import numpy as np

from glomo_keras.analysis.checks import check_names
from glomo_keras.analysis.checks import check_square
from glomo_keras.analysis.checks import checked_graph


def top_edges(graph, tokens, k=5):
    """The strongest edges of one graph, the strongest first.

    Edges of the same weight come in reading order: by receiver, then by
    source. Zero entries are no edges, so there may be fewer than `k`.

    Args:
        graph: array `(T, T)`, row t holds what unit t draws on.
        tokens: sequence of T strings.
        k: int, the largest number of edges.

    Returns:
        List of `(receiver, source, weight)`: two tokens and a float.

    Raises:
        ValueError: if the graph is not square, has negative or non-finite
            entries, the tokens are not T, or `k` is not positive.

    Example:

    >>> top_edges([[0, 0, 0], [1, 0, 0], [0.2, 0.8, 0]], ["a", "b", "c"], k=2)
    [('b', 'a', 1.0), ('c', 'b', 0.8)]
    """
    graph = checked_graph(graph, rank=2)  # (T, T)
    check_square(graph)
    check_names(tokens, len(graph), "tokens", "units")
    if k < 1:
        raise ValueError(f"`k` must be at least 1. Received: k={k}")
    order = np.argsort(-graph, axis=None, kind="stable")[:k]
    rows, columns = np.unravel_index(order, graph.shape)
    return [
        (tokens[t], tokens[s], float(graph[t, s]))
        for t, s in zip(rows, columns, strict=True)
        if graph[t, s] > 0
    ]
