import keras
from keras import ops

from glomo_keras.ops.attention import admitted_pairs
from glomo_keras.ops.attention import masked_softmax
from glomo_keras.ops.attention import trilinear_scores
from glomo_keras.ops.equations import LOWEST
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh


@keras.saving.register_keras_serializable(package="glomo_keras")
class BiAttention(keras.layers.Layer):
    """Attends from a text to another and back, with trilinear scores.

        a_ij = w_x . x_i + w_m . m_j + scale . (x_i * m_j)
        c_i = sum_j softmax_j(a_ij) m_j
        q = sum_i softmax_i(max_j a_ij) x_i
        output_i = [x_i, c_i, x_i * c_i, q * c_i]

    With one text as features and memory it is self-attention. The fourth
    block is the released code's; BiDAF has `x_i * q` there.

    Masks: no position attends to padding of the memory, and rows of padding
    are left out of the softmax over i (in the released code they are not). A
    position that has nothing to attend to gets `c_i = 0` and is left out too.
    Scores and softmaxes are float32 whatever the dtype policy.

    Args:
        exclude_diagonal: Whether position i of the features may not attend to
            position i of the memory, for self-attention. Defaults to `False`.
        dropout: Float, share of the channels of the features and of the
            memory dropped for a whole sequence. Defaults to `0.0`.
        kernel_initializer: Initializer of w_x and w_m. Defaults to
            `"glorot_uniform"`.
        scale_initializer: Initializer of the scale. Defaults to `None`, the
            released code's: uniform between `1 / sqrt(d)` and 1, so that equal
            words attend to each other from the start.
        seed: Integer seed of the dropout. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: x, tensor `(B, T, d)`.
        memory: m, tensor `(B, S, d)`.
        features_mask: Boolean `(B, T)`, True = real position. Defaults to the
            Keras mask of `features`.
        memory_mask: Boolean `(B, S)`. Defaults to the Keras mask of `memory`.
        training: Boolean.

    Returns:
        Tensor `(B, T, 4 d)`.

    Raises:
        ValueError: If an argument is out of its range, ranks are wrong, or
            widths or lengths differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> context = keras.ops.ones((2, 7, 6))
    >>> question = keras.ops.ones((2, 3, 6))
    >>> tuple(gk.layers.BiAttention()(context, question).shape)
    (2, 7, 24)

    Reference:
        Seo et al. 2017, "Bidirectional Attention Flow"; Clark & Gardner 2018,
        "Simple and Effective Multi-Paragraph Reading Comprehension".
    """

    def __init__(
        self,
        exclude_diagonal=False,
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        scale_initializer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_rate(dropout=dropout)
        self.exclude_diagonal = exclude_diagonal
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.scale_initializer = keras.initializers.get(scale_initializer)
        self.seed = seed
        self.supports_masking = True
        self.dropout_layers = [
            keras.layers.Dropout(
                dropout,
                noise_shape=(None, 1, None),
                seed=None if seed is None else seed + index,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=f"{name}_dropout",
            )
            for index, name in enumerate(("features", "memory"))
        ]

    def build(self, features_shape, memory_shape):
        self._check_shapes(features_shape, memory_shape)
        width = features_shape[-1]
        for name in ("kernel", "memory_kernel"):
            weight = self.add_weight(
                name=name,
                shape=(width, 1),
                initializer=fresh(self.kernel_initializer),
            )
            setattr(self, name, weight)
        self.scale = self.add_weight(
            name="scale",
            shape=(width,),
            initializer=self.scale_initializer
            or keras.initializers.RandomUniform(width**-0.5, 1.0),
        )

    def _check_shapes(self, features_shape, memory_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        check.check_rank("memory", memory_shape, 3, "(B, S, d)")
        check.check_same_width(features=features_shape, memory=memory_shape)

    def call(
        self,
        features,
        memory,
        features_mask=None,
        memory_mask=None,
        training=None,
    ):
        check.check_padding_mask(
            features_mask, features.shape[1], "features_mask", "features"
        )
        check.check_padding_mask(
            memory_mask, memory.shape[1], "memory_mask", "memory"
        )
        features, memory = (
            dropout(x, training=training)
            for dropout, x in zip(
                self.dropout_layers, (features, memory), strict=True
            )
        )
        scores = trilinear_scores(
            features,
            memory,
            ops.squeeze(self.kernel, -1),
            ops.squeeze(self.memory_kernel, -1),
            self.scale,
        )  # (B, T, S)
        admitted = admitted_pairs(
            features, memory, memory_mask, self.exclude_diagonal
        )
        shares = self._cast(masked_softmax(scores, admitted))
        attended = ops.matmul(shares, memory)  # (B, T, d)
        shares = self._row_shares(scores, admitted, features_mask)
        summary = ops.matmul(ops.expand_dims(shares, 1), features)  # (B, 1, d)
        return ops.concatenate(
            [features, attended, features * attended, summary * attended],
            axis=-1,
        )  # (B, T, 4 d)

    def _row_shares(self, scores, admitted, features_mask):
        """Returns the softmax over i of row i's highest score, `(B, T)`."""
        rows = None
        if admitted is not None:
            scores = ops.where(admitted, scores, LOWEST)
            rows = ops.any(admitted, axis=-1)  # (B or 1, T or 1)
        if features_mask is not None:
            mask = ops.cast(features_mask, "bool")
            rows = mask if rows is None else ops.logical_and(rows, mask)
        return self._cast(masked_softmax(ops.max(scores, axis=-1), rows))

    def _cast(self, tensor):
        return ops.cast(tensor, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, memory_shape):
        self._check_shapes(features_shape, memory_shape)
        return (*features_shape[:-1], 4 * features_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "exclude_diagonal": self.exclude_diagonal,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "scale_initializer": self.scale_initializer
            and keras.initializers.serialize(self.scale_initializer),
            "seed": self.seed,
        }
