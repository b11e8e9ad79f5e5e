import keras
from keras import ops

from glomo_keras.layers._gru_cell import _SplitGRUCell
from glomo_keras.utils import validation as check

COMPOSITIONS = ("gru", "residual")


@keras.saving.register_keras_serializable(package="glomo_keras")
class FeatureComposition(keras.layers.Layer):
    """Updates features with gathered features: the function v of Eq. 2.

        F^l_t = v(m_t, F^(l-1)_t),   m_t = sum_s G^l_ts F^(l-1)_s

    with the sum m of `GraphWeightedSum`.

    * `composition="gru"`: a GRU cell with state F and input `[m * F, m]` (the
      released code's input; the paper's is m).
    * `composition="residual"`: `F + W m + b`.

    Args:
        composition: `"gru"` or `"residual"`. Defaults to `"gru"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: F, tensor `(B, T, d)`.
        messages: m, tensor `(B, T, d)`.

    Returns:
        Tensor `(B, T, d)`.

    Raises:
        ValueError: If the composition is unknown, or shapes differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.ops.ones((2, 5, 4))
    >>> tuple(gk.layers.FeatureComposition("residual")(x, x).shape)
    (2, 5, 4)

    Reference:
        Yang et al. 2018, Eq. 2.
    """

    def __init__(self, composition="gru", **kwargs):
        super().__init__(**kwargs)
        check.check_option("composition", composition, COMPOSITIONS)
        self.composition = composition
        self.supports_masking = True

    def build(self, features_shape, messages_shape):
        _check_shapes(features_shape, messages_shape)
        width = features_shape[-1]
        if self.composition == "gru":
            self.cell = _SplitGRUCell(
                width,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name="cell",
            )
            self.cell.build((None, 2 * width))
        else:
            self.cell = keras.layers.Dense(
                width,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name="cell",
            )
            self.cell.build((None, None, width))

    def call(self, features, messages):
        _check_shapes(features.shape, messages.shape)
        if self.composition == "residual":
            return features + self.cell(messages)
        inputs = ops.concatenate([messages * features, messages], axis=-1)
        outputs, _ = self.cell(inputs, [features])
        return outputs

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, messages_shape):
        _check_shapes(features_shape, messages_shape)
        return tuple(features_shape)

    def get_config(self):
        return {**super().get_config(), "composition": self.composition}


def _check_shapes(features_shape, messages_shape):
    check.check_rank("features", features_shape, 3, "(B, T, d)")
    check.check_rank("messages", messages_shape, 3, "(B, T, d)")
    check.check_same_length(
        features=features_shape[1], messages=messages_shape[1]
    )
    check.check_same_width(features=features_shape, messages=messages_shape)
