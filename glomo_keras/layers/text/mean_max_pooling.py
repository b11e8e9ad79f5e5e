import keras
from keras import ops

from glomo_keras.ops.equations import LOWEST
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class MeanMaxPooling(keras.layers.Layer):
    """Pools a text to the mean and the maximum of its positions.

    Padding is left out; an empty text gives zeros. The mean is taken in
    float32 whatever the dtype policy.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: Tensor `(B, T, d)`.
        padding_mask: Boolean `(B, T)`, True = real position. Defaults to the
            Keras mask of `features`.

    Returns:
        Tensor `(B, 2 d)`: mean, maximum.

    Raises:
        ValueError: If ranks are wrong, or lengths differ.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> features = np.array([[[1.0], [3.0], [9.0]]])
    >>> mask = np.array([[True, True, False]])
    >>> pooled = gk.layers.MeanMaxPooling()(features, padding_mask=mask)
    >>> keras.ops.convert_to_numpy(pooled)
    array([[2., 3.]], dtype=float32)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, features_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")

    def call(self, features, padding_mask=None, mask=None):
        mask = mask if padding_mask is None else padding_mask
        values = ops.cast(features, "float32")
        if mask is None:
            mask = ops.ones(ops.shape(features)[:2], "bool")
        check.check_padding_mask(mask, features.shape[1], of="features")
        mask = ops.cast(mask, "bool")[:, :, None]  # (B, T, 1)
        count = ops.sum(ops.cast(mask, "float32"), axis=1)  # (B, 1)
        total = ops.sum(ops.where(mask, values, 0.0), axis=1)  # (B, d)
        highest = ops.max(ops.where(mask, values, LOWEST), axis=1)
        highest = ops.where(count > 0, highest, 0.0)
        mean = ops.divide_no_nan(total, count)
        pooled = ops.concatenate([mean, highest], axis=-1)  # (B, 2 d)
        return ops.cast(pooled, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, features_shape):
        return (features_shape[0], 2 * features_shape[-1])

    def get_config(self):
        # Without this, Keras cannot serialize a layer with a `DTypePolicy`.
        return super().get_config()
