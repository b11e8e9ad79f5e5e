"""Checks of graphs that are given as numpy arrays, and of their names."""

import numpy as np


def checked_graphs(graphs, rank, name="graphs", square=True):
    """Returns graphs as a float64 array after checking them.

    Args:
        graphs: array with non-negative, finite entries, or anything that
            numpy turns into one, such as an eager tensor.
        rank: int, the number of axes.
        name: name of the argument, for the message. Defaults to `"graphs"`.
        square: whether the last two axes must be of the same length.
            Defaults to True.

    Raises:
        ValueError: if the rank is wrong, an axis is empty, a graph is not
            square, or an entry is negative or not finite.
    """
    array = np.asarray(graphs).astype("float64")
    if array.ndim != rank or 0 in array.shape:
        raise ValueError(
            f"`{name}` must have {rank} axes, none of them empty. "
            f"Received: {name} of shape {array.shape}"
        )
    if square and array.shape[-1] != array.shape[-2]:
        raise ValueError(
            f"`{name}` must have as many rows as columns. "
            f"Received: {name} of shape {array.shape}"
        )
    if not np.isfinite(array).all() or array.min() < 0:
        raise ValueError(
            f"`{name}` must have finite entries, none of them negative. "
            f"Received: {name} with entries from {array.min()} to {array.max()}"
        )
    return array


def check_names(names, length, name):
    """Raises ValueError unless there are `length` names."""
    if len(names) != length:
        raise ValueError(
            f"`{name}` must have {length} entries, as many as the graph has. "
            f"Received: {len(names)} {name}"
        )
