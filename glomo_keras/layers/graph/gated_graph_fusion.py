import keras
from keras import ops

from glomo_keras.ops.equations import gated_fusion
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh


@keras.saving.register_keras_serializable(package="glomo_keras")
class GatedGraphFusion(keras.layers.Layer):
    """Gates the features gathered along graphs and appends them, Sec. 2.3.

        X = [H, HM_1, HM_2, ...]
        output = [H, (W1 X + b1) * sigmoid(W2 X + b2)]

    The formula is `glomo_keras.ops.equations.gated_fusion`. The paper's gate
    has neither biases nor dropout and one HM; the released code has both and
    one HM per direction and mixture.

    Args:
        units: Integer, width of the gated part. Defaults to `None`, the width
            of the features.
        dropout: Float, share of the channels of X dropped for a whole
            sequence. Defaults to `0.0`.
        kernel_initializer: Initializer of W1 and W2. Defaults to
            `"glorot_uniform"`.
        gate_initializer: Initializer of b2; far below 0, gates start nearly
            closed. Defaults to `"zeros"`.
        seed: Integer seed of the dropout. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: H, tensor `(B, T, d)`.
        messages: HM_1, HM_2, ... side by side, tensor `(B, T, m)`.
        training: Boolean.

    Returns:
        Tensor `(B, T, d + units)`.

    Raises:
        ValueError: If an argument is out of its range, ranks are wrong, or
            lengths differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.ops.ones((2, 5, 4))
    >>> tuple(gk.layers.GatedGraphFusion(units=3)(x, x).shape)
    (2, 5, 7)

    Reference:
        Yang et al. 2018, Sec. 2.3.
    """

    def __init__(
        self,
        units=None,
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        gate_initializer="zeros",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive_or_none(units=units)
        check.check_rate(dropout=dropout)
        self.units = units
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.gate_initializer = keras.initializers.get(gate_initializer)
        self.seed = seed
        self.supports_masking = True
        self.dropout_layer = keras.layers.Dropout(
            dropout,
            noise_shape=(None, 1, None),
            seed=seed,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="dropout",
        )

    def build(self, features_shape, messages_shape):
        self._check_shapes(features_shape, messages_shape)
        width = features_shape[-1] + messages_shape[-1]
        units = self.units or features_shape[-1]
        self.value_dense = self._dense("value", units, width, "zeros")
        self.gate_dense = self._dense(
            "gate", units, width, fresh(self.gate_initializer)
        )

    def _dense(self, name, units, width, bias_initializer):
        dense = keras.layers.Dense(
            units,
            kernel_initializer=fresh(self.kernel_initializer),
            bias_initializer=bias_initializer,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name=name,
        )
        dense.build((None, None, width))
        return dense

    def _check_shapes(self, features_shape, messages_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        check.check_rank("messages", messages_shape, 3, "(B, T, m)")
        check.check_same_length(
            features=features_shape[1], messages=messages_shape[1]
        )

    def call(self, features, messages, training=None):
        joined = ops.concatenate([features, messages], axis=-1)
        joined = self.dropout_layer(joined, training=training)
        values, gates = self.value_dense(joined), self.gate_dense(joined)
        return gated_fusion(features, values, gates)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, messages_shape):
        self._check_shapes(features_shape, messages_shape)
        width = features_shape[-1]
        return (*features_shape[:-1], width + (self.units or width))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "gate_initializer": keras.initializers.serialize(
                self.gate_initializer
            ),
            "seed": self.seed,
        }
