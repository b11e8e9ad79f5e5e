"""Bits per dimension of whole images: of a model and of simple baselines.

Every value of every pixel is predicted once, from what comes before it in
raster order (and, for the model, earlier channels of the pixel), so that the
sum is a code length of the whole image; the rows of a table are of the same
events.

* *Histogram*: the frequencies of each channel's values in the training images.
* *Copy the left pixel*: the value of the pixel to the left plus an error whose
  distribution is fitted to the training images, for each channel; of what is
  outside 0 to 255 the probability is spread over what is inside. In the first
  column the pixel above, with errors fitted to it.
* *The model*: the pixel to the right as predicted from a pixel; in the first
  column the one below.

The first pixel is coded with the histogram by all.
"""

import keras
import numpy as np

CHANNELS, VALUES = 3, 256
NEXT, BELOW = (0, 1), (1, 0)


def histograms(images):
    """Frequencies of each channel's values, plus one: `(3, 256)`."""
    counts = [
        np.bincount(images[..., c].ravel(), minlength=VALUES) + 1.0
        for c in range(CHANNELS)
    ]
    return np.array([count / count.sum() for count in counts])


def copy_tables(images, axis):
    """`p(value | value before)` for each channel, `(3, 256, 256)`.

    Args:
        images: uint8 array `(N, H, W, 3)` to fit.
        axis: 1 where the pixel above is copied, 2 for the left one.
    """
    values = images.astype("int16")
    errors = np.diff(values, axis=axis) + VALUES - 1
    tables = []
    for c in range(CHANNELS):
        counts = np.bincount(errors[..., c].ravel(), minlength=2 * VALUES - 1)
        counts = counts + 1.0
        rows = [counts[VALUES - 1 - u :][:VALUES] for u in range(VALUES)]
        tables.append(rows / np.sum(rows, axis=1, keepdims=True))
    return np.array(tables)


def baseline_bits(train, images):
    """Bits of each value of the images for the two baselines.

    Args:
        train: uint8 array `(N, H, W, 3)`, what the baselines are fitted to.
        images: uint8 array `(M, H, W, 3)`.

    Returns:
        Dict of `histogram` and `copy_left`, float arrays `(M, H, W, 3)`.
    """
    marginal = histograms(train)
    left, above = copy_tables(train, 2), copy_tables(train, 1)
    x = images.astype("int64")
    channels = np.arange(CHANNELS)
    plain = -np.log2(marginal[channels, x])
    copied = plain.copy()
    copied[:, :, 1:] = -np.log2(left[channels, x[:, :, :-1], x[:, :, 1:]])
    copied[:, 1:, 0] = -np.log2(above[channels, x[:, :-1, 0], x[:, 1:, 0]])
    return {"histogram": plain, "copy_left": copied}


def model_bits(pretrainer, train, images, batch_size=8):
    """Bits of each value of the images for a model.

    Args:
        pretrainer: `PixelPretrainer`.
        train: uint8 array `(N, H, W, 3)`, for the histogram.
        images: uint8 array `(M, H, W, 3)`.
        batch_size: int.

    Returns:
        Dict of `forward` and, if bidirectional, `backward`, float arrays
        `(M, H, W, 3)`: the images are read from the first pixel to the last,
        or from the last to the first.
    """
    first = -np.log2(histograms(train))[np.arange(CHANNELS), images.astype(int)]
    bits = {direction: first.copy() for direction in pretrainer.directions}
    height, width = images.shape[1:3]
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        losses = pretrainer.target_losses(batch)
        for direction, (nats, _) in losses.items():
            offsets = pretrainer.decoders[direction].offsets.tolist()
            nats = keras.ops.convert_to_numpy(nats) / np.log(2)
            nats = nats.reshape(len(batch), height, width, -1, CHANNELS)
            _place(
                bits[direction][start : start + batch_size],
                nats,
                offsets,
                1 if direction == "forward" else -1,
            )
    return bits


def _place(bits, predicted, offsets, sign):
    """Puts what each pixel predicted where it belongs."""
    beside, below = (
        predicted[..., offsets.index([sign * r, sign * c]), :]
        for r, c in (NEXT, BELOW)
    )
    if sign > 0:
        bits[:, :, 1:] = beside[:, :, :-1]
        bits[:, 1:, 0] = below[:, :-1, 0]
    else:
        bits[:, :, :-1] = beside[:, :, 1:]
        bits[:, :-1, -1] = below[:, 1:, -1]
