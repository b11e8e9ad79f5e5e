import keras

from glomo_keras.ops.pixels import to_images
from glomo_keras.ops.pixels import to_units


@keras.saving.register_keras_serializable(package="glomo_keras")
class PixelsToUnits(keras.layers.Layer):
    """Flattens `(B, H, W, d)` to `(B, T, d)`, T static where H and W are."""

    def call(self, images):
        return to_units(images)

    def compute_output_shape(self, images_shape):
        batch, height, width, channels = images_shape
        units = None if None in (height, width) else height * width
        return (batch, units, channels)


@keras.saving.register_keras_serializable(package="glomo_keras")
class UnitsToPixels(keras.layers.Layer):
    """Restores `(B, S, S, d)` from `(B, T, d)`, S the `size`."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, units):
        return to_images(units, self.size, self.size)

    def compute_output_shape(self, units_shape):
        return (units_shape[0], self.size, self.size, units_shape[-1])

    def get_config(self):
        return {**super().get_config(), "size": self.size}
