"""Rows of different lengths as one array."""

import numpy as np


def pad_rows(rows, length):
    """Pads rows of integers with zeros at their ends.

    Args:
        rows: sequence of B sequences of int, the longest of `length` at most.
        length: int, T.

    Returns:
        Tuple of an int32 array `(B, T)` and a boolean mask `(B, T)`, True =
        not padding.
    """
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(length) < lengths[:, None]  # (B, T)
    padded = np.zeros(mask.shape, "int32")
    padded[mask] = np.concatenate(rows)
    return padded, mask
