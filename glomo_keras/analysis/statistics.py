"""Numbers that describe graphs: how dense, how far-reaching, how sharp."""

import numpy as np

from glomo_keras.utils.graph_arrays import checked_graphs
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
        ValueError: if the graphs have the wrong rank, negative or non-finite
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
    check_option("direction", direction, ("forward", "backward", None))
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
        "density": _ratio(edges.sum((0, 3, 4)), admissible.sum()),
        "empty_rows": _ratio((fillable & ~filled).sum((0, 3)), fillable.sum()),
        "mean_distance": _ratio(
            (graphs * distances).sum((0, 3, 4)), graphs.sum((0, 3, 4))
        ),
        "mean_entropy": _ratio(
            _entropies(graphs).sum((0, 3)), filled.sum((0, 3))
        ),
    }


def _admissible(graphs, padding_mask, direction):
    """Boolean `(B, 1, 1, T, T)`: where there may be an edge."""
    batch, length = graphs.shape[0], graphs.shape[-1]
    if padding_mask is None:
        padding_mask = np.ones((batch, length), "bool")
    real = np.asarray(padding_mask)
    if real.shape != (batch, length) or real.dtype != "bool":
        raise ValueError(
            f"`padding_mask` must be boolean, of shape {(batch, length)}. "
            f"Received: padding_mask of {real.dtype}, shape {real.shape}"
        )
    pairs = np.ones((length, length), "bool")
    sides = {"forward": np.tril(pairs, -1), "backward": np.triu(pairs, 1)}
    if direction is None:
        used = (graphs > 0).any(axis=(0, 1, 2))  # (T, T)
        fitting = [side for side in sides.values() if not (used & ~side).any()]
        side = fitting[0] if fitting else pairs
    else:
        side = sides[direction]
    return (side & real[:, :, None] & real[:, None])[:, None, None]


def _ratio(part, whole):
    """`part / whole`, 0 where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _entropies(graphs):
    """The entropy of every row in nats, `(B, L, K, T)`."""
    rows = _ratio(graphs, graphs.sum(-1, keepdims=True))
    logs = np.log(rows, out=np.zeros(rows.shape), where=rows > 0)
    return -(rows * logs).sum(-1)
