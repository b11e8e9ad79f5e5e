"""Argument checks; each raises a ValueError that names what it received."""

import numbers


def check_option(name, value, options):
    """Raises ValueError unless `value` is one of `options`."""
    if value not in options:
        raise ValueError(
            f"`{name}` must be one of {tuple(options)}. "
            f"Received: {name}={value!r}"
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


def check_padding_mask(mask, length):
    """Raises ValueError unless the mask is `(B, T)` or None."""
    if mask is not None:
        check_rank("padding_mask", mask.shape, 2, "(B, T)")
        check_same_length(padding_mask=mask.shape[1], inputs=length)
