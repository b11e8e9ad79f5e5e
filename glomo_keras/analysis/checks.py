"""Checks of what the functions of this folder are given."""

import numpy as np


def checked_graph(graph, rank, name="graph"):
    """The graph as a float64 array, after the checks.

    Args:
        graph: array with non-negative, finite entries, or what numpy makes
            one of (an eager tensor).
        rank: int, the number of axes wanted.
        name: name of the argument, for the message.

    Raises:
        ValueError: if the rank is another one, an axis is empty, or an entry
            is negative or not finite.
    """
    array = np.asarray(graph).astype("float64")
    if array.ndim != rank or 0 in array.shape:
        raise ValueError(
            f"`{name}` must have {rank} axes, none of them empty. "
            f"Received: {name} of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` must have finite entries. Received: {name} with "
            f"{int((~np.isfinite(array)).sum())} entries that are not"
        )
    if array.min() < 0:
        raise ValueError(
            f"`{name}` must have no negative entries. "
            f"Received: {name} with the entry {array.min()}"
        )
    return array


def check_square(graph, name="graph"):
    """Raises ValueError unless the last two axes are of the same length."""
    if graph.shape[-1] != graph.shape[-2]:
        raise ValueError(
            f"`{name}` must have as many rows as columns. "
            f"Received: {name} of shape {graph.shape}"
        )


def check_names(names, length, name, of):
    """Raises ValueError unless there are `length` names."""
    if len(names) != length:
        raise ValueError(
            f"`{name}` must have one entry for each of the {length} {of}. "
            f"Received: {len(names)} {name}"
        )
