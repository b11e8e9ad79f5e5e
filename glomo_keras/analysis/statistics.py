"""Numbers that describe graphs: how dense, how far-reaching, how sharp."""

import numpy as np

from glomo_keras.analysis.checks import check_square
from glomo_keras.analysis.checks import checked_graph

DIRECTIONS = ("forward", "backward")


def graph_statistics(graphs, padding_mask=None, direction=None):
    """Describes every layer and head of a batch of graphs.

    Which edges are admissible follows from the direction: looking back,
    looking ahead, or, for graphs with edges on both sides of the diagonal or
    on it, every pair of real units. Averages are over the whole batch.

    Args:
        graphs: array `(B, L, K, T, T)`, `graphs[b, l, k, t, s]` being the
            weight with which unit t draws on unit s.
        padding_mask: optional boolean array `(B, T)`, True = real unit.
        direction: `"forward"`, `"backward"`, or None: read off the graphs.

    Returns:
        Dict of float64 arrays `(L, K)`, 0 where there is nothing to count:

        - `density`: share of the admissible edges that are not zero;
        - `empty_rows`: share of rows without an edge, among the rows that
          could have one;
        - `mean_distance`: mean of |t - s| over edges, weighted by the edge;
        - `mean_entropy`: mean entropy of the rows with an edge, in nats, each
          row scaled to sum 1.

    Raises:
        ValueError: if the graphs have another rank, negative or non-finite
            entries or edges that are not admissible, or the mask or the
            direction is not of the form above.

    Example:

    >>> chain = np.eye(4, k=-1)[None, None, None]  # each draws on the previous
    >>> numbers = graph_statistics(chain)
    >>> {name: float(value[0, 0]) for name, value in numbers.items()}
    ... # doctest: +ELLIPSIS
    {'density': 0.5, 'empty_rows': 0.0, 'mean_distance': 1.0, ...}
    """
    graphs = checked_graph(graphs, rank=5, name="graphs")
    check_square(graphs, "graphs")
    direction = _checked_direction(graphs, direction)
    admissible = _admissible(graphs, padding_mask, direction)  # (B, 1, 1, T, T)
    _check_edges(graphs, admissible)
    return {
        "density": _density(graphs, admissible),
        "empty_rows": _empty_rows(graphs, admissible),
        "mean_distance": _mean_distance(graphs),
        "mean_entropy": _mean_entropy(graphs),
    }


def _checked_direction(graphs, direction):
    if direction is None:
        return _direction_of(graphs)
    if direction not in DIRECTIONS:
        raise ValueError(
            f"`direction` must be one of {DIRECTIONS} or None. "
            f"Received: direction={direction!r}"
        )
    return direction


def _direction_of(graphs):
    used = (graphs > 0).any(axis=(0, 1, 2))  # (T, T)
    if not np.triu(used).any():
        return "forward"
    return "any" if np.tril(used).any() else "backward"


def _admissible(graphs, padding_mask, direction):
    batch, units = graphs.shape[0], graphs.shape[-1]
    if padding_mask is None:
        padding_mask = np.ones((batch, units), "bool")
    real = np.asarray(padding_mask)  # (B, T)
    if real.shape != (batch, units) or real.dtype != "bool":
        raise ValueError(
            f"`padding_mask` must be boolean, of shape {(batch, units)}. "
            f"Received: padding_mask of {real.dtype}, shape {real.shape}"
        )
    pairs = np.ones((units, units), "bool")
    sides = {"forward": np.tril(pairs, -1), "backward": np.triu(pairs, 1)}
    allowed = sides.get(direction, pairs) & real[:, :, None] & real[:, None]
    return allowed[:, None, None]  # (B, 1, 1, T, T)


def _check_edges(graphs, admissible):
    wrong = int(((graphs > 0) & ~admissible).sum())
    if wrong:
        raise ValueError(
            "`graphs` must have no edge from or to padding, or against the "
            f"direction. Received: graphs with {wrong} such edges"
        )


def _share(part, whole):
    """`part / whole`, 0 where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _density(graphs, admissible):
    return _share((graphs > 0).sum((0, 3, 4)), admissible.sum())  # (L, K)


def _empty_rows(graphs, admissible):
    can = admissible.any(-1)  # (B, 1, 1, T)
    empty = can & ~(graphs > 0).any(-1)  # (B, L, K, T)
    return _share(empty.sum((0, 3)), can.sum())  # (L, K)


def _mean_distance(graphs):
    units = np.arange(graphs.shape[-1])
    distance = np.abs(units[:, None] - units)  # (T, T)
    total = (graphs * distance).sum((0, 3, 4))
    return _share(total, graphs.sum((0, 3, 4)))  # (L, K)


def _mean_entropy(graphs):
    sums = graphs.sum(-1, keepdims=True)  # (B, L, K, T, 1)
    rows = _share(graphs, sums)  # (B, L, K, T, T)
    logs = np.log(rows, out=np.zeros(rows.shape), where=rows > 0)
    entropy = -(rows * logs).sum(-1)  # (B, L, K, T)
    return _share(entropy.sum((0, 3)), (sums > 0).sum((0, 3, 4)))  # (L, K)
