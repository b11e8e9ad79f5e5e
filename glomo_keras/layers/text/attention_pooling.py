import keras
from keras import ops

from glomo_keras.ops.attention import masked_softmax
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class AttentionPooling(keras.layers.Layer):
    """Pools a text to the mean of its positions with learned weights.

        s = sum_i w_i x_i,   w = softmax_i(v . tanh(W x_i + b))

    over the real positions; 0 where there is none. The softmax is float32.

    Args:
        units: Integer, width of the hidden layer.
        dropout: Float, share of the channels of x dropped for a whole
            sequence where they give the weights; the mean is of x itself.
            Defaults to `0.0`.
        seed: Integer seed of the dropout. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: x, tensor `(B, T, d)`.
        mask: Boolean `(B, T)`, True = real position. Defaults to the Keras
            mask of the inputs.
        training: Boolean.

    Returns:
        Tensor `(B, d)`.

    Raises:
        ValueError: If an argument is out of its range, or inputs have
            another rank.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.ops.ones((2, 5, 4))
    >>> tuple(gk.layers.AttentionPooling(units=3)(x).shape)
    (2, 4)
    """

    def __init__(self, units, dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        check.check_positive(units=units)
        check.check_rate(dropout=dropout)
        self.units = units
        self.dropout = dropout
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

    def build(self, inputs_shape):
        check.check_rank("inputs", inputs_shape, 3, "(B, T, d)")
        options = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.hidden_dense = keras.layers.Dense(
            self.units, activation="tanh", name="hidden", **options
        )
        self.hidden_dense.build(inputs_shape)
        self.score_dense = keras.layers.Dense(
            1, use_bias=False, name="score", **options
        )
        self.score_dense.build((*inputs_shape[:-1], self.units))

    def call(self, inputs, mask=None, training=None):
        check.check_padding_mask(mask, inputs.shape[1])
        dropped = self.dropout_layer(inputs, training=training)
        scores = self.score_dense(self.hidden_dense(dropped))  # (B, T, 1)
        if mask is not None:
            mask = ops.expand_dims(ops.cast(mask, "bool"), -1)
        weights = masked_softmax(scores, mask, axis=1)
        weights = ops.cast(weights, self.compute_dtype)
        return ops.sum(weights * inputs, axis=1)  # (B, d)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, inputs_shape):
        check.check_rank("inputs", inputs_shape, 3, "(B, T, d)")
        return (inputs_shape[0], inputs_shape[2])

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "dropout": self.dropout,
            "seed": self.seed,
        }
