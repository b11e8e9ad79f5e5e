import keras
from keras import ops

from glomo_keras.utils import validation as check

EPSILON = 1e-12


@keras.saving.register_keras_serializable(package="glomo_keras")
class ScalarMix(keras.layers.Layer):
    """Mixes the layers of a network by learned weights, as ELMo does.

        output = gamma * sum_k softmax(w)_k h_k

    w starts at 0 and gamma at 1. With `normalize`, each h_k first gets mean 0
    and variance 1 over all real positions **of the batch together**.

    Args:
        normalize: Whether the layers are normalised. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        layers: Tensor `(B, N, T, d)`.
        padding_mask: Boolean `(B, T)`, True = real position. Defaults to
            `None`: all are.

    Returns:
        Tensor `(B, T, d)`.

    Raises:
        ValueError: If shapes are wrong.

    Example:

    >>> import keras, glomo_keras as gk
    >>> tuple(gk.layers.ScalarMix()(keras.ops.ones((2, 3, 5, 8))).shape)
    (2, 5, 8)

    Reference:
        Peters et al. 2018, Eq. 1.
    """

    def __init__(self, normalize=False, **kwargs):
        super().__init__(**kwargs)
        self.normalize = normalize
        self.supports_masking = True

    def build(self, layers_shape, padding_mask_shape=None):
        check.check_rank("layers", layers_shape, 4, "(B, N, T, d)")
        self.logits = self.add_weight(
            name="logits", shape=(layers_shape[1],), initializer="zeros"
        )
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="ones")

    def call(self, layers, padding_mask=None):
        check.check_padding_mask(padding_mask, layers.shape[2])
        if self.normalize:
            layers = _normalized(layers, padding_mask)
        weights = ops.softmax(ops.cast(self.logits, "float32"))  # (N,)
        weights = ops.cast(weights, layers.dtype)
        return self.gamma * ops.einsum("n,bntd->btd", weights, layers)

    def compute_mask(self, layers, previous_mask):
        return None

    def compute_output_shape(self, layers_shape, padding_mask_shape=None):
        check.check_rank("layers", layers_shape, 4, "(B, N, T, d)")
        batch, _, length, width = layers_shape
        return (batch, length, width)

    def get_config(self):
        return {**super().get_config(), "normalize": self.normalize}


def _normalized(layers, mask):
    """Gives each layer mean 0 and variance 1, in float32."""
    x = ops.cast(layers, "float32")
    real = ops.ones_like(x[:, :1, :, :1])  # (B, 1, T, 1)
    if mask is not None:
        real = real * ops.cast(mask, "float32")[:, None, :, None]
    count = ops.maximum(ops.sum(real) * x.shape[-1], 1.0)

    def mean(tensor):
        total = ops.sum(tensor * real, axis=(0, 2, 3), keepdims=True)
        return total / count  # (1, N, 1, 1)

    centred = x - mean(x)
    scale = ops.rsqrt(mean(ops.square(centred)) + EPSILON)
    return ops.cast(centred * scale, layers.dtype)
