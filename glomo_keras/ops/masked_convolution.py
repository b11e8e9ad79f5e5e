"""Convolutions of images that cannot see later pixels."""

import numpy as np
from keras import ops


def raster_conv2d(inputs, kernel, mask_type, direction="forward"):
    """Convolves an image with a kernel that sees earlier pixels only.

    Args:
        inputs: Tensor `(B, H, W, d)`.
        kernel: Tensor `(size, size, d, filters)`, size odd.
        mask_type, direction: See `raster_kernel_mask`.

    Returns:
        Tensor `(B, H, W, filters)`.
    """
    mask = raster_kernel_mask(kernel.shape[0], mask_type, direction)
    kernel = kernel * ops.cast(mask, kernel.dtype)
    return ops.conv(inputs, kernel, padding="same", data_format="channels_last")


def raster_kernel_mask(kernel_size, mask_type, direction="forward"):
    """Returns which taps of a square kernel are earlier in raster order.

    Type A leaves out the centre and all that follows it; type B keeps the
    centre (van den Oord et al. 2016, PixelCNN). For `"backward"` the mask is
    mirrored: later pixels only.

    Args:
        kernel_size: Odd integer.
        mask_type: `"A"` or `"B"`.
        direction: `"forward"` or `"backward"`. Defaults to `"forward"`.

    Returns:
        Float32 array `(kernel_size, kernel_size, 1, 1)` of 0 and 1.
    """
    taps = np.arange(kernel_size**2)
    centre = kernel_size**2 // 2
    mask = taps <= centre if mask_type == "B" else taps < centre
    if direction == "backward":
        mask = mask[::-1]
    return mask.reshape(kernel_size, kernel_size, 1, 1).astype("float32")
