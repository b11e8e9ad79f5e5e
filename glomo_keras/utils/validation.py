"""Checks that the layers share; each names what it received."""

import numbers

from glomo_keras.ops.edges import ACTIVATIONS
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.graphs import graph_shape


def check_option(name, value, options):
    """Raises ValueError unless `value` is one of `options`."""
    if value not in options:
        raise ValueError(
            f"`{name}` must be one of {tuple(options)}. "
            f"Received: {name}={value!r}"
        )


def check_direction(direction):
    check_option("direction", direction, DIRECTIONS)


def check_activation(activation):
    check_option("activation", activation, ACTIVATIONS)


def check_positive(**values):
    """Raises ValueError unless every value is a positive integer."""
    for name, value in values.items():
        whole = isinstance(value, numbers.Integral)
        if not whole or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. "
                f"Received: {name}={value!r}"
            )


def check_rate(**values):
    """Raises ValueError unless every value is in [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(
                f"`{name}` must be in [0, 1). Received: {name}={value!r}"
            )


def check_rank(name, shape, rank, meaning):
    """Raises ValueError unless `shape` has `rank` axes."""
    if len(shape) != rank:
        raise ValueError(
            f"`{name}` must have shape {meaning}. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_same_length(**lengths):
    """Raises ValueError where two known lengths T differ."""
    known = {k: v for k, v in lengths.items() if isinstance(v, int)}
    if len(set(known.values())) > 1:
        raise ValueError(
            "All call arguments must have the same number of units T. "
            f"Received: {', '.join(f'T={v} in {k}' for k, v in known.items())}"
        )


def check_padding_mask(mask, length):
    """Raises ValueError unless the mask is `(B, T)` or None."""
    if mask is not None:
        check_rank("padding_mask", mask.shape, 2, "(B, T)")
        check_same_length(padding_mask=mask.shape[1], inputs=length)


def checked_graph_shape(name, shapes, ranks, meaning):
    """The materialised shape of a graph of either form, checked.

    Args:
        name: the call argument, for the message.
        shapes: shape tuple, or dict of shape tuples.
        ranks: the numbers of axes that are fine.
        meaning: what the shape should be, for the message.
    """
    shape = graph_shape(shapes)
    if len(shape) not in ranks:
        raise ValueError(
            f"`{name}` must have shape {meaning}, or be the dict of its "
            f"factors. Received: {name}.shape={shape}"
        )
    check_same_length(**{f"{name}'s rows": shape[-2], "its columns": shape[-1]})
    return shape


def checked_directions(graphs, kind="graphs"):
    """The directions that a dict of graphs (or messages) has.

    Args:
        graphs: dict with `forward_KIND`, `backward_KIND` or both.
        kind: what they are called.

    Raises:
        ValueError: if it is no such dict.
    """
    names = [f"{direction}_{kind}" for direction in DIRECTIONS]
    given = sorted(graphs) if isinstance(graphs, dict) else type(graphs)
    if not isinstance(graphs, dict) or not graphs or set(graphs) - {*names}:
        raise ValueError(
            f"`{kind}` must be a dict with {names[0]!r}, {names[1]!r} or "
            f"both. Received: {given}"
        )
    return [d for d in DIRECTIONS if f"{d}_{kind}" in graphs]
