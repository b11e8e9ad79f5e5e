"""Rotary position embedding of queries and keys."""

import numpy as np
from keras import ops

MAX_WAVELENGTH = 1000.0


def rotate(x, positions, dims):
    """Rotates pairs of dimensions by angles in proportion to the position.

    Dimensions i and i + dims / 2 are a point in the plane, rotated by
    `position * 1000 ** (-2 i / dims)`. The product of a rotated query and a
    rotated key depends on the difference of their positions.

    Args:
        x: Tensor `(..., T, C)`.
        positions: Integer tensor `(T,)`, or one that broadcasts to the shape
            of x without its last axis.
        dims: Even integer, at most C; the other dimensions stay as they are.

    Returns:
        Tensor like x. Angles are float32 whatever its dtype.

    Reference:
        Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position
        Embedding", Sec. 3.2.
    """
    half = dims // 2
    rates = MAX_WAVELENGTH ** (-np.arange(half) / half)
    rates = ops.convert_to_tensor(rates, "float32")
    positions = ops.cast(positions, "float32")[..., None]
    angles = positions * rates  # (..., T, dims / 2)
    cos, sin = (ops.cast(f(angles), x.dtype) for f in (ops.cos, ops.sin))
    a, b = x[..., :half], x[..., half:dims]
    turned = [a * cos - b * sin, a * sin + b * cos]
    return ops.concatenate([*turned, x[..., dims:]], axis=-1)
