"""Convolutions that cannot see the future, in one and two dimensions."""

import numpy as np


def causal_padding(kernel_size, direction):
    """Zeros `(before, after)` an axis so that a window ends at its unit."""
    padding = (kernel_size - 1, 0)
    return padding if direction == "forward" else padding[::-1]


def raster_kernel_mask(kernel_size, mask_type, direction="forward"):
    """Which taps of a square kernel come earlier in raster order.

    Type A leaves out the centre and all that follows it; type B keeps the
    centre (van den Oord et al. 2016, PixelCNN). For `"backward"` the mask is
    mirrored: later pixels only.

    Args:
        kernel_size: odd integer.
        mask_type: `"A"` or `"B"`.
        direction: `"forward"` or `"backward"`.

    Returns:
        Float32 array `(kernel_size, kernel_size, 1, 1)` of 0 and 1.
    """
    taps = np.arange(kernel_size**2)
    centre = kernel_size**2 // 2
    mask = taps <= centre if mask_type == "B" else taps < centre
    if direction == "backward":
        mask = mask[::-1]
    return mask.reshape(kernel_size, kernel_size, 1, 1).astype("float32")
