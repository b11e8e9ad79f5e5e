import keras
import numpy as np
from keras import ops

from glomo_keras.ops.pixels import CHANNELS
from glomo_keras.ops.pixels import VALUES
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class PixelEmbedding(keras.layers.Layer):
    """Embeds the 256 values of each channel of a pixel.

    It does for images what the token embedding does for text: the features F^0
    of a pixel are the sum over its channels, and the softmax of the decoder is
    tied to the table.

    At first each channel has its own third of the dimensions, with waves of
    the value whose lengths go from four times its range down to three. The
    product of two such vectors depends on the difference of the values and is
    higher the closer they are, so that copying a value is easy to learn.

    Args:
        units: Integer d, at least 6; the channels start with `units // 3`
            dimensions each.
        scale: Float, amplitude of the waves. Defaults to `0.5`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: Integer tensor `(B, H, W, 3)`, values 0 to 255.

    Returns:
        Tensor `(B, H, W, 3, d)`, one vector per channel.

    Raises:
        ValueError: If an argument is out of its range, there are not three
            channels, or the images are floating-point.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> images = np.zeros((2, 4, 5, 3), "uint8")
    >>> tuple(gk.layers.PixelEmbedding(units=12)(images).shape)
    (2, 4, 5, 3, 12)
    """

    def __init__(self, units, scale=0.5, **kwargs):
        super().__init__(**kwargs)
        check.check_positive(units=units)
        if units < 2 * len(CHANNELS):
            raise ValueError(
                "`units` must be at least 6, a sine and a cosine a channel. "
                f"Received: units={units}"
            )
        self.units = units
        self.scale = scale

    def build(self, images_shape):
        self._check_shape(images_shape)
        self.table = self.add_weight(
            name="table",
            shape=(len(CHANNELS), VALUES, self.units),
            initializer=lambda shape, dtype: ops.convert_to_tensor(
                self.scale * value_waves(self.units), dtype
            ),
        )

    def _check_shape(self, shape):
        check.check_rank("images", shape, 4, "(B, H, W, 3)")
        if shape[-1] != len(CHANNELS):
            raise ValueError(
                "`images` must have three channels. "
                f"Received: images.shape={tuple(shape)}"
            )

    def call(self, images):
        check.check_bytes("images", images)
        table = ops.cast(ops.convert_to_tensor(self.table), self.compute_dtype)
        rows = ops.reshape(table, (-1, self.units))
        first = VALUES * ops.arange(len(CHANNELS), dtype="int32")
        return ops.take(rows, ops.cast(images, "int32") + first, axis=0)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, images_shape):
        self._check_shape(images_shape)
        return (*images_shape, self.units)

    def compute_output_spec(self, images):
        shape = self.compute_output_shape(images.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "scale": self.scale,
        }


def value_waves(units):
    """Returns sines and cosines of the values, `(3, 256, units)`."""
    half = units // len(CHANNELS) // 2
    lengths = np.geomspace(4 * VALUES, 3, half)
    angles = 2 * np.pi * np.arange(VALUES)[:, None] / lengths
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    table = np.zeros((len(CHANNELS), VALUES, units), "float32")
    for channel in range(len(CHANNELS)):
        start = channel * 2 * half
        table[channel, :, start : start + 2 * half] = waves
    return table
