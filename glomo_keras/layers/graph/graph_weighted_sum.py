import keras
from keras import ops

from glomo_keras.ops.gather import gather_features
from glomo_keras.ops.graphs import checked_graph_shape
from glomo_keras.ops.graphs import is_factored
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphWeightedSum(keras.layers.Layer):
    """Gathers features along the edges of one graph, the sum of Eq. 2.

        m_t = sum_s G_ts F_s

    With K heads the features are split into K slices of equal width: head k
    weighs slice k. The formula is `glomo_keras.ops.equations.weighted_sum`.

    Edges and features are multiplied in float32, bfloat16 features as they
    are; the sum is float32 and normalised after the product. Factored graphs
    of more than 512 positions are computed in blocks of rows, so that memory
    grows with T (in a TensorFlow graph only where the length is static).

    The layer has no weights. Its output has no Keras mask: which rows it has
    depends on `positions`.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: Tensor `(B, T, d)`; K divides d.
        graph: One layer of a graph: `(B, K, T, T)`, `(B, T, T)` (one head
            for all features), or the factors of one layer. A graph that has
            some rows only, `(B, K, N, T)` or factors with `positions`, gives
            the sums of these.
        positions: Integer tensor `(N,)`, the receivers, negative ones counted
            from the end, the same for the whole batch. Defaults to `None`, all
            rows of the graph.

    Returns:
        Tensor `(B, T, d)` or `(B, N, d)`.

    Raises:
        ValueError: If ranks are wrong, lengths differ, K does not divide d, or
            positions are given for factors that have their own.

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

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, features_shape, graph_shape):
        self.compute_output_shape(features_shape, graph_shape)

    def call(self, features, graph, positions=None):
        total = gather_features(graph, features, positions)
        return ops.cast(total, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(self, features, graph, positions=None):
        shapes = keras.tree.map_structure(lambda x: x.shape, graph)
        shape = self.compute_output_shape(features.shape, shapes)
        if positions is not None:
            shape = (shape[0], positions.shape[0], shape[2])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_output_shape(self, features_shape, graph_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        ranks = (4,) if is_factored(graph_shape) else (3, 4)
        shape = checked_graph_shape(
            "graph", graph_shape, ranks, "(B, K, T, T) or (B, T, T)"
        )
        check.check_same_length(features=features_shape[1], graph=shape[-1])
        heads = shape[1] if len(shape) == 4 else 1
        if features_shape[-1] % heads:
            raise ValueError(
                "The number of heads must divide the width of the features. "
                f"Received: {heads} heads, features.shape={features_shape}"
            )
        return (features_shape[0], shape[-2], features_shape[2])

    def get_config(self):
        # Without this, Keras cannot serialize a layer with a `DTypePolicy`.
        return super().get_config()
