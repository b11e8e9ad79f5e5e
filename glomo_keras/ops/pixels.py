"""Images as sequences: pixels in raster order and the windows around them."""

import numpy as np
from keras import ops

from glomo_keras.ops.equations import STEP

ANCHORS = ("centre", "corner")
CHANNELS = "rgb"
VALUES = 256


def flatten_pixels(images):
    """`(B, H, W, ...)` -> `(B, T, ...)`: pixel (r, c) is at r W + c."""
    shape = ops.shape(images)
    return ops.reshape(images, (shape[0], shape[1] * shape[2], *shape[3:]))


def window_offsets(window_size, anchor, direction="forward"):
    """Returns the offsets of a window's unseen pixels, as they are predicted.

    Args:
        window_size: Integer, side in pixels; odd for `"centre"`.
        anchor: `"centre"`, the later half of a window around the pixel, or
            `"corner"`, a window whose first pixel it is.
        direction: `"forward"`, or `"backward"` for the mirror image. Defaults
            to `"forward"`.

    Returns:
        Integer array `(D, 2)` of rows and columns: D is
        `(window_size ** 2 - 1) / 2` or `window_size ** 2 - 1`.
    """
    start = -(window_size // 2) if anchor == "centre" else 0
    steps = range(start, start + window_size)
    offsets = [(r, c) for r in steps for c in steps if (r, c) > (0, 0)]
    return STEP[direction] * np.array(offsets, "int32").reshape(-1, 2)


def window_indices(positions, offsets, height, width):
    """Returns the positions of the windows around some pixels.

    Args:
        positions: Integer tensor `(N,)` in raster order.
        offsets: Integer array `(D, 2)` of `window_offsets`.
        height, width: Integers or scalar tensors.

    Returns:
        Tuple `(indices, inside)`: integer `(N, D)`, 0 for what lies outside the
        image, and boolean `(N, D)`.
    """
    positions = ops.cast(ops.expand_dims(positions, 1), "int32")
    offsets = ops.convert_to_tensor(offsets, "int32")
    rows = positions // width + offsets[:, 0]  # (N, D)
    columns = positions % width + offsets[:, 1]
    inside = ops.logical_and(
        ops.logical_and(rows >= 0, rows < height),
        ops.logical_and(columns >= 0, columns < width),
    )
    return ops.where(inside, rows * width + columns, 0), inside
