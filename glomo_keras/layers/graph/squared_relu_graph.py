import keras
from keras import ops

from glomo_keras.ops.equations import ACTIVATIONS
from glomo_keras.ops.graphs import checked_graph_shape
from glomo_keras.ops.graphs import is_factored
from glomo_keras.ops.streaming import materialize
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class SquaredReLUGraph(keras.layers.Layer):
    """Makes the graph of its factors, Eq. 1.

        a_ts = relu(q_t . k_s - threshold_t)
        G_ts = a_ts ** 2 / sum_s' a_ts' ** 2

    over the admissible sources s: real positions before t (`past_keys`) or
    after it (`future_keys`), never t itself. A row sums to 1, or to 0 where
    no admissible score is positive. There is no `1 / sqrt(key_dim)`. The
    formula is `glomo_keras.ops.equations.squared_relu_graph`.

    Notation: the paper's `G_ij` leads from position i to j and its columns
    sum to one; here row t is the receiver and rows sum to one. The paper's b
    is `-threshold`.

    Scores, squares and sums are float32 whatever the dtype policy (a float16
    score of 256 overflows when squared), but bfloat16 queries and keys, which
    have the range of float32, are multiplied as they are. The graph has the
    compute dtype. The layer has no weights.

    Args:
        activation: `"squared_relu"`, or one of the ablations of the paper's
            Table 2: `"square"` (no ReLU: dense) and `"softmax"` (the
            thresholds then cancel). Defaults to `"squared_relu"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        factors: Factored graph, as `KeyQueryProjection` gives it: a dict of
            `queries` `(B, L, K, T, C)`, `past_keys` or `future_keys`
            `(B, L, K, T, C)`, `thresholds` `(B, L, K, T)` and optionally
            `padding_mask` `(B, T)`. One layer lacks the axis L and may have
            `positions` `(N,)`, the receivers of its queries.

    Returns:
        Tensor `(B, L, K, T, T)`; of one layer `(B, K, T, T)`, or
        `(B, K, N, T)` with positions.

    Raises:
        ValueError: If the activation is unknown, or the factors are
            incomplete or disagree.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.random.normal((2, 5, 4), seed=0)
    >>> factors = gk.layers.KeyQueryProjection(num_heads=3, key_dim=4)(x, x)
    >>> tuple(gk.layers.SquaredReLUGraph()(factors).shape)
    (2, 1, 3, 5, 5)

    Reference:
        Yang et al. 2018, Eq. 1.
    """

    def __init__(self, activation="squared_relu", **kwargs):
        super().__init__(**kwargs)
        check.check_option("activation", activation, ACTIVATIONS)
        self.activation = activation
        self.supports_masking = True

    def build(self, factors_shape):
        self.compute_output_shape(factors_shape)

    def call(self, factors):
        graph = materialize(factors, self.activation)
        return ops.cast(graph, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, factors_shape):
        if not is_factored(factors_shape):
            raise ValueError(
                "`factors` must be the dict of a factored graph. "
                f"Received: factors.shape={factors_shape}"
            )
        return checked_graph_shape(
            "factors", factors_shape, (4, 5), "(B, L, K, T, T)"
        )

    def get_config(self):
        return {**super().get_config(), "activation": self.activation}
