import keras
from keras import ops

from glomo_keras.ops.weighted_sum import weighted_sum
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphWeightedSum(keras.layers.Layer):
    """Features gathered along the edges of one graph, the sum of Eq. 2.

        m_t = sum_s G_ts F_s

    With K heads the features are split in K slices of equal width: head k
    weighs slice k. No weights of its own. Edges and features are multiplied in
    float32, bfloat16 features as they are; the sum is float32 and normalised
    after the product. Beyond 512 units it goes by blocks of rows, so that
    memory grows with T (in a TensorFlow graph only where the length is
    static).

    The output has no Keras mask: which rows it has depends on `positions`.

    Args:
        direction: `"forward"` or `"backward"`, of a graph in factored form.
        activation: that of the `SquaredReLUGraph` that made the factors.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        features: tensor `(B, T, d)`; K divides d.
        graph: one layer of a graph: `(B, K, T, T)`, `(B, T, T)` (one head
            for all features), or the factors of one layer (`queries` and
            `keys` `(B, K, T, C)`, `thresholds` `(B, K, T)`).
        positions: integer tensor `(N,)`: the receivers wanted, the same for
            the whole batch. All if None.
        padding_mask: boolean `(B, T)`, True = real unit; for factors (a
            materialised graph has its padding cleared). The Keras mask of
            `features` is used where it is not given.

    Returns:
        Tensor `(B, T, d)`, or `(B, N, d)` with positions.

    Raises:
        ValueError: wrong ranks, lengths that differ, or K not dividing d.

    Example:

    >>> import keras, glomo_keras as gk
    >>> features = keras.ops.reshape(keras.ops.arange(3.0), (1, 3, 1))
    >>> graph = keras.ops.convert_to_tensor(
    ...     [[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    >>> float(gk.layers.GraphWeightedSum()(features, graph)[0, 2, 0])
    0.5

    Reference:
        Yang et al. 2018, Eq. 2.
    """

    def __init__(
        self, direction="forward", activation="squared_relu", **kwargs
    ):
        super().__init__(**kwargs)
        check.check_direction(direction)
        check.check_activation(activation)
        self.direction = direction
        self.activation = activation
        self.supports_masking = True

    def build(self, features_shape, graph_shape):
        self._check_shapes(features_shape, graph_shape)

    def _check_shapes(self, features_shape, graph_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        shape = check.checked_graph_shape(
            "graph", graph_shape, (3, 4), "(B, K, T, T) or (B, T, T)"
        )
        if isinstance(graph_shape, dict):
            check.check_rank(
                "graph['keys']", graph_shape["keys"], 4, "(B, K, T, C)"
            )
        check.check_same_length(features=features_shape[1], graph=shape[-1])
        heads = shape[1] if len(shape) == 4 else 1
        if features_shape[-1] % heads:
            raise ValueError(
                "The number of heads must divide the width of the features. "
                f"Received: {heads} heads, features.shape={features_shape}"
            )

    def call(
        self,
        features,
        graph,
        positions=None,
        padding_mask=None,
        features_mask=None,
    ):
        mask = features_mask if padding_mask is None else padding_mask
        check.check_padding_mask(mask, features.shape[1])
        total = weighted_sum(
            graph,
            features,
            positions=positions,
            padding_mask=mask,
            direction=self.direction,
            activation=self.activation,
        )
        return ops.cast(total, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(
        self,
        features,
        graph,
        positions=None,
        padding_mask=None,
        features_mask=None,
    ):
        length = features.shape[1] if positions is None else positions.shape[0]
        shape = (features.shape[0], length, features.shape[2])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_output_shape(self, features_shape, graph_shape):
        self._check_shapes(features_shape, graph_shape)
        return tuple(features_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "direction": self.direction,
            "activation": self.activation,
        }
