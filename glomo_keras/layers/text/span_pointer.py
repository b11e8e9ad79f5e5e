import keras
from keras import ops

from glomo_keras.layers._gru_cell import _SplitGRUCell
from glomo_keras.ops.attention import masked_softmax
from glomo_keras.utils import validation as check

_NEVER = -1e30


@keras.saving.register_keras_serializable(package="glomo_keras")
class SpanPointer(keras.layers.Layer):
    """Points to the start and the end of an answer.

        start_i = v . tanh(W [s; x_i])
        s' = GRUCell(sum_i softmax_i(start_i) x_i, s)
        end_i = v . tanh(W [s'; x_i])

    Both steps share v and W. Logits are float32 whatever the dtype policy,
    and -1e30 on padding.

    Args:
        units: Integer, width of the hidden layer.
        dropout: Float, share of the channels of s and x dropped for a whole
            sequence where they give the logits. Defaults to `0.0`.
        seed: Integer seed of the dropout. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: x, tensor `(B, T, d)`.
        state: s, tensor `(B, m)`, such as a summary of the question.
        features_mask: Boolean `(B, T)`, True = real position. Defaults to the
            Keras mask of `features`.
        training: Boolean.

    Returns:
        Dict of `start_logits` and `end_logits`, each `(B, T)`.

    Raises:
        ValueError: If an argument is out of its range, ranks are wrong, or
            lengths differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x, state = keras.ops.ones((2, 5, 4)), keras.ops.ones((2, 3))
    >>> logits = gk.layers.SpanPointer(units=6)(x, state)
    >>> tuple(logits["start_logits"].shape)
    (2, 5)

    Reference:
        Wang & Jiang 2017, "Machine Comprehension Using Match-LSTM and Answer
        Pointer"; with the question's summary as in R-Net.
    """

    def __init__(self, units, dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        check.check_positive(units=units)
        check.check_rate(dropout=dropout)
        self.units = units
        self.dropout = dropout
        self.seed = seed
        self.supports_masking = True
        self.dropout_layers = {
            name: keras.layers.Dropout(
                dropout,
                noise_shape=noise_shape,
                seed=None if seed is None else seed + index,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=f"{name}_dropout",
            )
            for index, (name, noise_shape) in enumerate(
                {"features": (None, 1, None), "state": None}.items()
            )
        }

    def build(self, features_shape, state_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        check.check_rank("state", state_shape, 2, "(B, m)")
        width = state_shape[-1]
        options = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.kernel = self.add_weight(
            name="kernel",
            shape=(width + features_shape[-1], self.units),
            initializer="glorot_uniform",
        )
        self.score_dense = keras.layers.Dense(
            1, use_bias=False, name="score", **options
        )
        self.score_dense.build((None, None, self.units))
        self.cell = _SplitGRUCell(width, name="cell", **options)
        self.cell.build((None, features_shape[-1]))

    def call(self, features, state, features_mask=None, training=None):
        check.check_padding_mask(features_mask, features.shape[1])
        mask = features_mask
        mask = None if mask is None else ops.cast(mask, "bool")
        dropped = self.dropout_layers["features"](features, training=training)
        state = self.dropout_layers["state"](state, training=training)
        width = state.shape[-1]
        state_kernel, kernel = ops.split(
            ops.cast(self.kernel, self.compute_dtype), [width], axis=0
        )
        projected = ops.matmul(dropped, kernel)  # (B, T, units)
        start = self._logits(state, state_kernel, projected, mask)
        shares = ops.cast(masked_softmax(start, mask), self.compute_dtype)
        answer = ops.matmul(ops.expand_dims(shares, 1), features)
        state, _ = self.cell(ops.squeeze(answer, 1), [state])  # (B, m)
        end = self._logits(state, state_kernel, projected, mask)
        return {"start_logits": start, "end_logits": end}

    def _logits(self, state, state_kernel, projected, mask):
        shift = ops.expand_dims(ops.matmul(state, state_kernel), 1)
        scores = self.score_dense(ops.tanh(projected + shift))  # (B, T, 1)
        logits = ops.cast(ops.squeeze(scores, -1), "float32")
        return logits if mask is None else ops.where(mask, logits, _NEVER)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(
        self, features, state, features_mask=None, training=None
    ):
        shapes = self.compute_output_shape(features.shape, state.shape)
        return {
            name: keras.KerasTensor(shape, dtype="float32")
            for name, shape in shapes.items()
        }

    def compute_output_shape(self, features_shape, state_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        check.check_rank("state", state_shape, 2, "(B, m)")
        shape = tuple(features_shape[:2])
        return {"start_logits": shape, "end_logits": shape}

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "dropout": self.dropout,
            "seed": self.seed,
        }
