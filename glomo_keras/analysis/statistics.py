"""Numbers that describe graphs: how dense, how far-reaching, how sharp."""

import numpy as np

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils.graph_arrays import admissible_pairs
from glomo_keras.utils.graph_arrays import checked_graphs
from glomo_keras.utils.graph_arrays import checked_mask
from glomo_keras.utils.graph_arrays import ratio
from glomo_keras.utils.graph_arrays import side_of
from glomo_keras.utils.validation import check_option


def graph_statistics(graphs, padding_mask=None, direction=None):
    """Describes every layer and head of a batch of graphs.

    The direction says which edges are admissible: those that look back, those
    that look ahead, or, for graphs with edges on both sides of the diagonal or
    on it, those between any two real positions. Averages are over the batch.

    Args:
        graphs: array `(B, L, K, T, T)`, `graphs[b, l, k, t, s]` being the
            weight with which receiver t looks at source s.
        padding_mask: boolean array `(B, T)`, True = real position. Defaults
            to None: all are real.
        direction: `"forward"`, `"backward"`, or None, which reads it off the
            graphs. Defaults to None.

    Returns:
        Dict of float64 arrays `(L, K)`, 0 where there is nothing to count:

        - `density`: share of the admissible edges that are not zero;
        - `empty_rows`: share of rows without an edge, among the rows that
          could have one;
        - `mean_distance`: mean of |t - s| over edges, weighted by the edge;
        - `mean_entropy`: mean entropy of the rows with an edge, in nats, each
          row scaled to sum 1.

    Raises:
        ValueError: If the graphs have the wrong rank, negative or non-finite
            entries or edges that are not admissible, or the mask or the
            direction is not of the form above.

    Example:

    >>> chain = np.eye(4, k=-1)[None, None, None]  # each looks at the previous
    >>> numbers = graph_statistics(chain)
    >>> {name: float(value[0, 0]) for name, value in numbers.items()}
    ... # doctest: +ELLIPSIS
    {'density': 0.5, 'empty_rows': 0.0, 'mean_distance': 1.0, ...}
    """
    graphs = checked_graphs(graphs, rank=5)
    check_option("direction", direction, (*DIRECTIONS, None))
    admissible = _admissible(graphs, padding_mask, direction)  # (B, 1, 1, T, T)
    edges = graphs > 0
    wrong = int((edges & ~admissible).sum())
    if wrong:
        raise ValueError(
            "`graphs` must have no edge from or to padding, or against the "
            f"direction. Received: graphs with {wrong} such edges"
        )
    at = np.arange(graphs.shape[-1])
    distances = np.abs(at[:, None] - at)  # (T, T)
    filled, fillable = edges.any(-1), admissible.any(-1)  # (B, ?, ?, T)
    return {
        "density": ratio(edges.sum((0, 3, 4)), admissible.sum()),
        "empty_rows": ratio((fillable & ~filled).sum((0, 3)), fillable.sum()),
        "mean_distance": ratio(
            (graphs * distances).sum((0, 3, 4)), graphs.sum((0, 3, 4))
        ),
        "mean_entropy": ratio(
            _entropies(graphs).sum((0, 3)), filled.sum((0, 3))
        ),
    }


def _admissible(graphs, padding_mask, direction):
    """Boolean `(B, 1, 1, T, T)`: where there may be an edge."""
    batch, length = graphs.shape[0], graphs.shape[-1]
    real = checked_mask(padding_mask, (batch, length))
    pairs = admissible_pairs(length, direction or side_of(graphs))
    return (pairs & real[:, :, None] & real[:, None])[:, None, None]


def _entropies(graphs):
    """The entropy of every row in nats, `(B, L, K, T)`."""
    rows = ratio(graphs, graphs.sum(-1, keepdims=True))
    logs = np.log(rows, out=np.zeros(rows.shape), where=rows > 0)
    return -(rows * logs).sum(-1)
