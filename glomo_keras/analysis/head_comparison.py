"""Compares the heads of a predictor in a table."""

import numpy as np

from glomo_keras.ops.graphs import checked_directions
from glomo_keras.utils.graph_arrays import admissible_pairs
from glomo_keras.utils.graph_arrays import checked_graphs
from glomo_keras.utils.graph_arrays import checked_mask
from glomo_keras.utils.graph_arrays import ratio

DEAD = 0.5  # of the rows are empty
DOUBLE = 0.9  # correlation
POSITIONAL = 0.5  # of the variance
SHARP = 0.5  # mean largest weight


def compare_heads(graphs, padding_mask=None):
    """Describes each head: whether it is dead, double, positional or sharp.

    A row that can have no edge or one alone says nothing and is left out. The
    numbers of the others are about their excess, an edge's weight less the
    uniform share of its row:

    - `empty_rows`: share of the rows that have no edge;
    - `peak`: mean of the largest weight of the rows that have one;
    - `by_distance`: share of the variance of the excess that distance alone
      explains. The explanation is a weight for each distance, the head's mean
      at that distance, scaled to sum 1 in each row;
    - `correlation`: of the excess with that of `twin`, the head of this
      direction that correlates most, as `(layer, head)`.

    `kind` names what is the case: `dead` (half of the rows are empty or
    more), `double` (correlation of 0.9 or more with an earlier head),
    `positional` (`by_distance` of 0.5 or more), `sharp` (`peak` of 0.5 or
    more). Dead and double heads are the first that `predictor.select` can do
    without; whether a task can is to be measured on the task.

    Args:
        graphs: dict of `forward_graphs` and `backward_graphs` (or one of
            them), arrays `(B, L, K, T, T)`.
        padding_mask: boolean array `(B, T)`, True = real position. Defaults
            to None: all are real.

    Returns:
        List of dicts, one for each direction, layer and head, with
        `direction`, `layer` and `head` (from 1, as `graph_layers` and
        `select` count) and the entries above. It makes a table by
        `tabulate.tabulate(rows, headers="keys")` or `pandas.DataFrame(rows)`.

    Raises:
        ValueError: If a graph has another rank, negative or non-finite
            entries or edges against its direction, or the mask is not of the
            form above.

    Example:

    >>> previous = np.eye(9, k=-1)[None, None, None]
    >>> [row] = compare_heads({"forward_graphs": previous})
    >>> row["kind"], row["by_distance"]
    ('positional, sharp', 1.0)
    """
    rows = []
    for direction in checked_directions(graphs):
        graph = checked_graphs(graphs[f"{direction}_graphs"], rank=5)
        rows += _rows(graph, padding_mask, direction)
    return rows


def _rows(graphs, padding_mask, direction):
    batch, num_layers, num_heads, length, _ = graphs.shape
    real = checked_mask(padding_mask, (batch, length))
    pairs = admissible_pairs(length, direction)
    real = real[:, :, None] & real[:, None]  # (B, T, T)
    wrong = np.count_nonzero(graphs * (real & ~pairs)[:, None, None])
    if wrong:
        raise ValueError(
            "Graphs must have no edge against their direction. Received: "
            f"{direction}_graphs with {wrong} such edges"
        )
    pairs = pairs & real
    pairs &= pairs.sum(-1, keepdims=True) > 1
    weights = np.moveaxis(graphs, (1, 2), (0, 1))  # (L, K, B, T, T)
    weights = weights.reshape(-1, *pairs.shape) * pairs  # (LK, B, T, T)
    excess, left = _excess(weights, pairs)
    squares = (excess**2).sum(-1)  # (LK,)
    correlation = ratio(
        excess @ excess.T, np.sqrt(squares[:, None] * squares)
    )  # (LK, LK)
    columns = {
        "empty_rows": _empty_rows(weights, pairs),
        "peak": _peaks(weights),
        "by_distance": np.maximum(ratio(squares - left, squares), 0),
    }
    places = list(np.ndindex(num_layers, num_heads))
    return [
        {
            "direction": direction,
            "layer": layer + 1,
            "head": head + 1,
            **{name: float(values[row]) for name, values in columns.items()},
            **_twin(correlation, row, places),
            "kind": _kind(columns, correlation, row),
        }
        for row, (layer, head) in enumerate(places)
    ]


def _excess(weights, pairs):
    """Returns excess over uniform shares, and what distance leaves unexplained.

    Args:
        weights: array `(H, B, T, T)`, of H heads.
        pairs: boolean array `(B, T, T)`, the admissible pairs.

    Returns:
        Excess `(H, P)` of the P pairs, and the sum of squares `(H,)`.
    """
    sums = weights.sum(-1, keepdims=True)
    shares = sums * ratio(pairs, pairs.sum(-1, keepdims=True))
    profile = _profile(weights, sums, pairs)  # (H, T)
    at = np.arange(pairs.shape[-1])
    explained = profile[:, np.abs(at[:, None] - at)][:, None] * pairs
    explained *= ratio(sums, explained.sum(-1, keepdims=True))
    left = ((weights - explained) ** 2).sum((1, 2, 3))
    return (weights - shares)[:, pairs], left


def _profile(weights, sums, pairs):
    """Returns mean weights by distance, over rows with an edge, `(H, T)`."""
    filled = (sums > 0) & pairs  # (H, B, T, T)
    profile = np.zeros((len(weights), pairs.shape[-1]))
    for distance in range(1, pairs.shape[-1]):
        total, count = (
            sum(
                values.diagonal(offset, -2, -1).sum((1, 2))
                for offset in (-distance, distance)
            )
            for values in (weights, filled)
        )
        profile[:, distance] = ratio(total, count)
    return profile


def _empty_rows(weights, pairs):
    possible = pairs.any(-1)  # (B, T)
    empty = ~weights.any(-1) & possible  # (H, B, T)
    return ratio(empty.sum((1, 2)), possible.sum())


def _peaks(weights):
    """Returns the mean largest weight of the rows with an edge, `(H,)`."""
    largest = weights.max(-1)  # (H, B, T)
    return ratio(largest.sum((1, 2)), (largest > 0).sum((1, 2)))


def _twin(correlation, row, places):
    others = correlation[row].copy()
    others[row] = -np.inf
    twin = int(np.argmax(others))
    if twin == row:
        return {"correlation": None, "twin": None}
    layer, head = places[twin]
    return {
        "correlation": float(others[twin]),
        "twin": (layer + 1, head + 1),
    }


def _kind(columns, correlation, row):
    empty, peak, by_distance = (values[row] for values in columns.values())
    kinds = {
        "dead": empty >= DEAD,
        "double": (correlation[row, :row] >= DOUBLE).any(),
        "positional": by_distance >= POSITIONAL,
        "sharp": peak >= SHARP,
    }
    return ", ".join(name for name, holds in kinds.items() if holds)
