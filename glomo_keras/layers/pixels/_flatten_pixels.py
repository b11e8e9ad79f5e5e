import keras

from glomo_keras.ops.pixels import flatten_pixels
from glomo_keras.ops.pixels import unflatten_pixels


@keras.saving.register_keras_serializable(package="glomo_keras")
class FlattenPixels(keras.layers.Layer):
    """Flattens `(B, H, W, d)` to `(B, T, d)`, T static where H and W are."""

    def call(self, images):
        return flatten_pixels(images)

    def compute_output_shape(self, images_shape):
        batch, height, width, channels = images_shape
        length = None if None in (height, width) else height * width
        return (batch, length, channels)

    def get_config(self):
        # Without this, Keras cannot serialize a layer with a `DTypePolicy`.
        return super().get_config()


@keras.saving.register_keras_serializable(package="glomo_keras")
class UnflattenPixels(keras.layers.Layer):
    """Restores `(B, S, S, d)` from `(B, T, d)`, S the `size`."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, pixels):
        return unflatten_pixels(pixels, self.size, self.size)

    def compute_output_shape(self, pixels_shape):
        return (pixels_shape[0], self.size, self.size, pixels_shape[-1])

    def get_config(self):
        return {**super().get_config(), "size": self.size}
