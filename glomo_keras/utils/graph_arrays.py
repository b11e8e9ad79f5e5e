"""Checks of graphs that are given as numpy arrays, and of their names."""

import keras
import numpy as np


def as_array(values):
    """Returns a numpy array of the same dtype, also of a tensor.

    Raises:
        ValueError: If the values are a dict, such as a factored graph.
    """
    if isinstance(values, dict):
        raise ValueError(
            "A graph must be an array here. Of its factors "
            "`glomo_keras.layers.SquaredReLUGraph()(factors)` makes one. "
            f"Received: a dict with the entries {sorted(values)}"
        )
    if keras.ops.is_tensor(values):
        return keras.ops.convert_to_numpy(values)
    return np.asarray(values)


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
        ValueError: If the rank is wrong, an axis is empty, a graph is not
            square, or an entry is negative or not finite.
    """
    array = as_array(graphs).astype("float64")
    check_axes(array, rank, name, square)
    check_weights(array, name)
    return array


def check_axes(array, rank, name="graphs", square=True):
    """Raises ValueError unless an array has the axes of graphs.

    Arguments are those of `checked_graphs`.
    """
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


def check_weights(array, name="graphs"):
    """Raises ValueError unless all weights are finite and not negative."""
    if array.size and not (np.isfinite(array).all() and array.min() >= 0):
        raise ValueError(
            f"`{name}` must have finite entries, none of them negative. "
            f"Received: {name} with entries from {array.min()} to {array.max()}"
        )


def checked_mask(padding_mask, shape):
    """Returns a padding mask as an array, all True if it is None.

    Args:
        padding_mask: boolean array `(B, T)`, True = real position, or None.
        shape: `(B, T)`, which it must have.

    Raises:
        ValueError: If it has another shape or dtype.
    """
    if padding_mask is None:
        return np.ones(shape, "bool")
    mask = as_array(padding_mask)
    if mask.shape != tuple(shape) or mask.dtype != "bool":
        raise ValueError(
            f"`padding_mask` must be boolean, of shape {tuple(shape)}. "
            f"Received: padding_mask of {mask.dtype}, shape {mask.shape}"
        )
    return mask


def side_of(graphs):
    """Returns the side of the diagonal that holds all edges of graphs.

    Args:
        graphs: array `(..., T, T)`.

    Returns:
        `"forward"` where they all look back (or there is none), `"backward"`
        where they all look ahead, else `"both"`.
    """
    used = (graphs != 0).reshape(-1, *graphs.shape[-2:]).any(axis=0)  # (T, T)
    if not np.triu(used).any():
        return "forward"
    return "both" if np.tril(used).any() else "backward"


def admissible_pairs(length, side):
    """Boolean `(T, T)`: where a graph of this side may have an edge."""
    pairs = np.ones((length, length), "bool")
    if side == "both":
        return pairs
    return np.tril(pairs, -1) if side == "forward" else np.triu(pairs, 1)


def ratio(part, whole):
    """`part / whole`, 0 where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def check_names(names, length, name):
    """Raises ValueError unless there are `length` names."""
    if len(names) != length:
        raise ValueError(
            f"`{name}` must have {length} entries, as many as the graph has. "
            f"Received: {len(names)} {name}"
        )


def token_text(token):
    """Returns a token, a string or UTF-8 bytes, as a string."""
    if isinstance(token, bytes):
        return token.decode("utf-8", "replace")
    return str(token)
