import keras
from keras import ops

from glomo_keras.layers._gru_cell import _SplitGRUCell
from glomo_keras.layers._gru_cell import run_stack
from glomo_keras.ops.equations import context_positions
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class ContextDecoder(keras.layers.Layer):
    """Computes the states that predict the context of a position, Eq. 3.

    A stack of GRU cells starts in every layer from the feature `F_t` of a
    position t and makes D steps. The first input is zeros: x_t reaches the
    decoder only through F_t. Step i > 1 is fed the embedding of x_{t+i-1}
    (teacher forcing); its state predicts x_{t+i} (`direction="backward"`:
    x_{t-i}) by a softmax tied to the embedding. The softmax and the loss are
    `glomo_keras.ops.cross_entropy.tied_cross_entropy`; the positions of the
    context are `glomo_keras.ops.equations.context_positions`.

    Args:
        context_length: Integer D. Defaults to `3`.
        num_layers: Integer, GRU layers. Defaults to `2`.
        direction: `"forward"` or `"backward"`. Defaults to `"forward"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: Tensor `(B, N, d)`, the top features at N positions.
        embeddings: Tensor `(B, T, d)` of the whole sequence.
        positions: Integer tensor `(N,)` in reading order, the same for the
            whole batch. Defaults to `None`, all T positions.

    Returns:
        Tensor `(B, N, D, d)`. States whose target lies outside the sequence
        mean nothing: `ops.context.context_targets` says which they are.

    Raises:
        ValueError: If an argument is out of its range, or widths differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.ops.ones((2, 5, 4))
    >>> tuple(gk.layers.ContextDecoder(context_length=3)(x, x).shape)
    (2, 5, 3, 4)

    Reference:
        Yang et al. 2018, Eq. 3.
    """

    def __init__(
        self, context_length=3, num_layers=2, direction="forward", **kwargs
    ):
        super().__init__(**kwargs)
        check.check_positive(
            context_length=context_length, num_layers=num_layers
        )
        check.check_option("direction", direction, DIRECTIONS)
        self.context_length = context_length
        self.num_layers = num_layers
        self.direction = direction
        self.supports_masking = True

    def build(self, features_shape, embeddings_shape):
        check.check_rank("features", features_shape, 3, "(B, N, d)")
        check.check_rank("embeddings", embeddings_shape, 3, "(B, T, d)")
        check.check_same_width(
            features=features_shape, embeddings=embeddings_shape
        )
        width = features_shape[-1]
        self.cells = [
            _SplitGRUCell(
                width,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=f"cell_{index}",
            )
            for index in range(self.num_layers)
        ]
        for cell in self.cells:
            cell.build((None, width))

    def call(self, features, embeddings, positions=None):
        length = ops.shape(embeddings)[1]
        if positions is None:
            check.check_same_length(
                features=features.shape[1], embeddings=embeddings.shape[1]
            )
            positions = ops.arange(length, dtype="int32")
        indices, _ = context_positions(
            positions, self.context_length, self.direction, length
        )
        known = [
            ops.take(embeddings, indices[:, step], axis=1)
            for step in range(self.context_length - 1)
        ]
        inputs = [ops.zeros_like(features), *known]
        return run_stack(self.cells, features, inputs)  # (B, N, D, d)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, features_shape, embeddings_shape):
        batch, positions, width = features_shape
        return (batch, positions, self.context_length, width)

    def get_config(self):
        return {
            **super().get_config(),
            "context_length": self.context_length,
            "num_layers": self.num_layers,
            "direction": self.direction,
        }
