import keras
import numpy as np
from keras import ops

from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class PixelCoordinates(keras.layers.Layer):
    """Appends the coordinates of each pixel to its features.

    The coordinates are sines and cosines of row and column at some wave
    lengths. With them a product of query and key can depend on the offset of
    two pixels, whatever the size of the image; without them the networks of
    the graph predictor see only contents and the border of the image.

    In training, rows and columns are counted from a number drawn for the
    batch, so that offsets learned on small crops hold anywhere in larger
    images.

    Args:
        wave_lengths: Sequence of numbers, in pixels. Defaults to
            `(4, 8, 16, 64)`.
        max_shift: Integer; in training rows and columns are counted from a
            number below it, in inference from 0. Defaults to `0`.
        seed: Integer seed of the shift. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: Floating-point or integer tensor `(B, H, W, d)`.
        training: Boolean, whether the shift acts.

    Returns:
        Tensor `(B, H, W, d + 4 n)` of the compute dtype for n wave lengths.

    Raises:
        ValueError: If a wave length is not positive or there is none, the
            shift is negative, or the rank is wrong.

    Example:

    >>> import keras, glomo_keras as gk
    >>> layer = gk.layers.PixelCoordinates(wave_lengths=(4, 16))
    >>> tuple(layer(keras.ops.ones((2, 3, 5, 6))).shape)
    (2, 3, 5, 14)
    """

    def __init__(
        self, wave_lengths=(4, 8, 16, 64), max_shift=0, seed=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.wave_lengths = tuple(wave_lengths)
        if not self.wave_lengths or min(self.wave_lengths) <= 0:
            raise ValueError(
                "`wave_lengths` must be positive numbers of pixels. "
                f"Received: wave_lengths={wave_lengths}"
            )
        if max_shift < 0:
            raise ValueError(
                "`max_shift` must be 0 or more pixels. "
                f"Received: max_shift={max_shift}"
            )
        self.max_shift = max_shift
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, images_shape):
        check.check_rank("images", images_shape, 4, "(B, H, W, d)")

    def call(self, images, training=None):
        shape = ops.shape(images)
        shifts = (0.0, 0.0)
        if training and self.trainable and self.max_shift:
            drawn = keras.random.uniform(
                (2,), dtype="float32", seed=self.seed_generator
            )
            shifts = ops.unstack(ops.floor(drawn * self.max_shift))
        rows, columns = map(self._waves, shape[1:3], shifts)
        size = 2 * len(self.wave_lengths)
        where = ops.concatenate(
            [
                ops.broadcast_to(x, (*shape[:3], size))
                for x in (rows[None, :, None], columns[None, None])
            ],
            axis=-1,
        )  # (B, H, W, 4 n)
        parts = [ops.cast(x, self.compute_dtype) for x in (images, where)]
        return ops.concatenate(parts, axis=-1)

    def _waves(self, count, first):
        """Returns sines and cosines of `count` steps, `(count, 2 n)`."""
        steps = ops.expand_dims(first + ops.arange(count, dtype="float32"), 1)
        rates = 2 * np.pi / np.array(self.wave_lengths)
        angles = steps * ops.convert_to_tensor(rates, "float32")
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, images_shape):
        check.check_rank("images", images_shape, 4, "(B, H, W, d)")
        width = images_shape[-1] + 4 * len(self.wave_lengths)
        return (*images_shape[:-1], width)

    def get_config(self):
        return {
            **super().get_config(),
            "wave_lengths": self.wave_lengths,
            "max_shift": self.max_shift,
            "seed": self.seed,
        }
