import keras
from keras import ops

from glomo_keras.layers._with_mask import _WithMask
from glomo_keras.ops.attention import masked_softmax
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class SoftAlignment(keras.layers.Layer):
    """Aligns each of two texts with the other, as ESIM does.

        e_ij = a_i . b_j
        a~_i = sum_j softmax_j(e_ij) b_j
        b~_j = sum_i softmax_i(e_ij) a_i

    The paper's "bi-inference" is this comparison; ESIM calls it local
    inference. Nothing is aligned with padding; a position that has nothing to
    be aligned with gets 0. Scores and softmaxes are float32 whatever the dtype
    policy. The layer has no weights.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        premise: a, tensor `(B, T, d)`.
        hypothesis: b, tensor `(B, S, d)`.
        premise_mask: Boolean `(B, T)`, True = real position. Defaults to the
            Keras mask of `premise`.
        hypothesis_mask: Boolean `(B, S)`. Defaults to the Keras mask of
            `hypothesis`.

    Returns:
        Two tensors, a~ `(B, T, d)` and b~ `(B, S, d)`.

    Raises:
        ValueError: If ranks are wrong, or widths or lengths differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> a, b = keras.ops.ones((2, 5, 4)), keras.ops.ones((2, 3, 4))
    >>> [tuple(x.shape) for x in gk.layers.SoftAlignment()(a, b)]
    [(2, 5, 4), (2, 3, 4)]

    Reference:
        Chen et al. 2017, "Enhanced LSTM for Natural Language Inference",
        Sec. 3.2.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.with_mask = _WithMask(
            dtype=self.dtype_policy, trainable=self.trainable, name="with_mask"
        )
        self.supports_masking = True

    def build(self, premise_shape, hypothesis_shape):
        self._check_shapes(premise_shape, hypothesis_shape)

    def _check_shapes(self, premise_shape, hypothesis_shape):
        check.check_rank("premise", premise_shape, 3, "(B, T, d)")
        check.check_rank("hypothesis", hypothesis_shape, 3, "(B, S, d)")
        check.check_same_width(
            premise=premise_shape, hypothesis=hypothesis_shape
        )

    def call(
        self, premise, hypothesis, premise_mask=None, hypothesis_mask=None
    ):
        to_hypothesis, to_premise = self.weights_of(
            premise, hypothesis, premise_mask, hypothesis_mask
        )
        aligned = (
            ops.matmul(self._cast(to_hypothesis), hypothesis),
            ops.matmul(self._cast(to_premise), premise),
        )
        masks = (premise_mask, hypothesis_mask)
        return tuple(
            self.with_mask(x, mask=None if m is None else ops.cast(m, "bool"))
            for x, m in zip(aligned, masks, strict=True)
        )

    def weights_of(
        self, premise, hypothesis, premise_mask=None, hypothesis_mask=None
    ):
        """Returns the softmaxes, for pictures.

        Args:
            premise, hypothesis, premise_mask, hypothesis_mask: See the call
                arguments.

        Returns:
            Two float32 tensors: what each position of the premise takes from
            the hypothesis, `(B, T, S)`, and the reverse, `(B, S, T)`. A row
            sums to 1, or to 0 where there is nothing to be aligned with.
        """
        columns = _checked_mask("hypothesis", hypothesis, hypothesis_mask)
        rows = _checked_mask("premise", premise, premise_mask)
        scores = ops.matmul(
            ops.cast(premise, "float32"),
            ops.swapaxes(ops.cast(hypothesis, "float32"), 1, 2),
        )  # (B, T, S)
        to_hypothesis = masked_softmax(
            scores, None if columns is None else ops.expand_dims(columns, 1)
        )
        to_premise = masked_softmax(
            ops.swapaxes(scores, 1, 2),
            None if rows is None else ops.expand_dims(rows, 1),
        )  # (B, S, T)
        return to_hypothesis, to_premise

    def _cast(self, tensor):
        return ops.cast(tensor, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, premise_shape, hypothesis_shape):
        self._check_shapes(premise_shape, hypothesis_shape)
        return tuple(premise_shape), tuple(hypothesis_shape)

    def get_config(self):
        # Without this, Keras cannot serialize a layer with a `DTypePolicy`.
        return super().get_config()


def _checked_mask(name, tensor, mask):
    check.check_padding_mask(mask, tensor.shape[1], f"{name}_mask", name)
    return None if mask is None else ops.cast(mask, "bool")
