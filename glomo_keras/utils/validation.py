"""Argument checks; each raises a ValueError that names what it received."""

import numbers

import keras
import numpy as np


def check_option(name, value, options):
    """Raises ValueError unless `value` is one of `options`."""
    if value not in options:
        raise ValueError(
            f"`{name}` must be one of {tuple(options)}. "
            f"Received: {name}={value!r}"
        )


def check_different(name, values, options):
    """Raises ValueError unless `values` are one or more of `options`."""
    for value in values:
        check_option(name, value, options)
    if len(values) == 0 or len(set(values)) < len(values):
        raise ValueError(
            f"`{name}` must be one or more of {tuple(options)}, each once. "
            f"Received: {name}={values!r}"
        )


def check_positive(**values):
    """Raises ValueError unless every value is a positive integer."""
    for name, value in values.items():
        whole = isinstance(value, numbers.Integral)
        if not whole or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. "
                f"Received: {name}={value!r}"
            )


def check_positive_or_none(**values):
    """Raises ValueError unless every value is a positive integer or None."""
    check_positive(**{k: v for k, v in values.items() if v is not None})


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
            "All call arguments must have the same length T. "
            f"Received: {', '.join(f'T={v} in {k}' for k, v in known.items())}"
        )


def check_same_width(**shapes):
    """Raises ValueError unless two shapes have the same last axis."""
    (first, one), (second, two) = shapes.items()
    if one[-1] != two[-1]:
        raise ValueError(
            f"`{first}` and `{second}` must have the same width. Received: "
            f"{first}.shape={tuple(one)}, {second}.shape={tuple(two)}"
        )


def chosen_numbers(name, chosen, count):
    """Checks a choice of numbers from 1 to `count`, and returns it as a list.

    Args:
        name: String, of the argument.
        chosen: Sequence of integers, or None for all.
        count: Integer.

    Raises:
        ValueError: If they are not different numbers of this range.
    """
    if chosen is None:
        return list(range(1, count + 1))
    if np.ndim(chosen) != 1 or len(chosen) == 0:
        raise ValueError(
            f"`{name}` must be a sequence of numbers from 1, or None for all. "
            f"Received: {name}={chosen}"
        )
    whole = all(
        isinstance(number, numbers.Integral) and not isinstance(number, bool)
        for number in chosen
    )
    different = len(set(chosen)) == len(chosen)
    if not (whole and different and set(chosen) <= {*range(1, count + 1)}):
        raise ValueError(
            f"`{name}` must be different numbers from 1 to {count}. "
            f"Received: {name}={chosen}"
        )
    return [int(number) for number in chosen]


def check_transfer(graphs, transfer):
    """Raises ValueError where a transfer has no graphs to apply."""
    if graphs is None and transfer is not None:
        raise ValueError(
            "`transfer` applies graphs: give `graphs` too. "
            f"Received: graphs=None, transfer={transfer}"
        )


def check_placement(placement, use_rnn):
    """Raises ValueError where graphs are to act on states that are missing."""
    if placement == "states" and not use_rnn:
        raise ValueError(
            "`placement='states'` needs the RNN whose states these are; take "
            "`use_rnn=True` or `placement='embeddings'`. Received: "
            f"placement={placement!r}, use_rnn={use_rnn}"
        )


def check_bytes(name, values):
    """Raises ValueError unless values are bytes, or integers like them.

    Args:
        name: Name of the argument.
        values: Array or tensor: uint8, or of other integers from 0 to 255. A
            compiled function cannot look at them; there any are taken.
    """
    dtype = values.dtype if hasattr(values, "dtype") else np.array(values).dtype
    name_of_type = getattr(dtype, "name", str(dtype))
    if "uint8" in name_of_type:
        return
    if "float" in name_of_type or "16" in name_of_type:
        raise ValueError(
            f"`{name}` must have an integer dtype, with values from 0 to 255: "
            "floats and 16-bit values would be cut off. Scale them and cast "
            "them to uint8 first. "
            f"Received: {name}.dtype={dtype}"
        )
    try:
        given = keras.ops.convert_to_numpy(values)
    except Exception:  # a compiled function: each backend has another error
        return
    if given.size and not 0 <= given.min() <= given.max() <= 255:
        raise ValueError(
            f"`{name}` must have values from 0 to 255. Received: values from "
            f"{given.min()} to {given.max()}"
        )


def as_integers(name, values, dtype):
    """Returns integers as an array of another dtype, which must hold them."""
    given = np.asarray(values)
    if given.size:  # an empty list has a float dtype
        low, high = given.min(), given.max()
        limits = np.iinfo(dtype)
        fits = limits.min <= low and high <= limits.max
        if given.dtype.kind not in "iu" or not fits:
            raise ValueError(
                f"`{name}` must have an integer dtype and values that fit in "
                f"{dtype}. Received: dtype={given.dtype}, values from {low} to "
                f"{high}"
            )
    return given.astype(dtype)


def check_padding_mask(mask, length, name="padding_mask", of="inputs"):
    """Raises ValueError unless the mask is `(B, T)` or None."""
    if mask is not None:
        check_rank(name, mask.shape, 2, "(B, T)")
        check_same_length(**{name: mask.shape[1], of: length})
