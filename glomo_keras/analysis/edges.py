"""The strongest edges of a graph."""

import numpy as np

from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.graph_arrays import checked_graphs
from glomo_keras.utils.validation import check_positive


def top_edges(graph, tokens, k=5):
    """Returns the strongest edges of one graph, the strongest first.

    Edges of the same weight come in reading order: by receiver, then by
    source. Zero entries are no edges, so there may be fewer than `k`.

    Args:
        graph: array `(T, T)`, rows are receivers, columns are sources.
        tokens: sequence of T strings.
        k: int, the largest number of edges. Defaults to 5.

    Returns:
        List of `(receiver, source, weight)`: two tokens and a float.

    Raises:
        ValueError: if the graph is not square, has negative or non-finite
            entries, the tokens are not T, or `k` is not positive.

    Example:

    >>> top_edges([[0, 0, 0], [1, 0, 0], [0.2, 0.8, 0]], ["a", "b", "c"], k=2)
    [('b', 'a', 1.0), ('c', 'b', 0.8)]
    """
    graph = checked_graphs(graph, 2, "graph")  # (T, T)
    check_names(tokens, len(graph), "tokens")
    check_positive(k=k)
    order = np.argsort(-graph, axis=None, kind="stable")[:k]
    return [
        (tokens[t], tokens[s], float(graph[t, s]))
        for t, s in zip(*np.unravel_index(order, graph.shape), strict=True)
        if graph[t, s] > 0
    ]
