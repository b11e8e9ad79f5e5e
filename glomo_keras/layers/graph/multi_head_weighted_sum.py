import keras
from keras import ops

from glomo_keras.ops import graphs
from glomo_keras.ops.gather import gather_features
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh


@keras.saving.register_keras_serializable(package="glomo_keras")
class MultiHeadWeightedSum(keras.layers.Layer):
    """Gathers a projection of the features for each head of a graph.

        m_t = [sum_s G^1_ts V_1 F_s, ..., sum_s G^K_ts V_K F_s] W

    with a learned `V_k` for each head, as multi-head attention has for its
    values: the graph takes the place of the attention. `GraphWeightedSum`,
    the paper's sum, gives head k a slice of the features instead.

    Precision and memory are those of `GraphWeightedSum`. The output has no
    Keras mask, since its rows depend on the graph and `positions`.

    Args:
        value_dim: Integer, the width of `V_k F_s`. Defaults to `None`, which
            is `max(1, d // K)`.
        units: Integer, the width of the output. Defaults to `None`: no W, the
            heads side by side, `K * value_dim`.
        kernel_initializer: Initializer of V and W. Defaults to
            `"glorot_uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: Tensor `(B, T, d)`.
        graph: One layer of a graph: `(B, K, T, T)`, or its factors. A graph
            that has some rows only, `(B, K, N, T)` or factors with
            `positions`, gives the sums of these.
        positions: Integer tensor `(N,)`, the receivers, negative ones counted
            from the end, the same for the whole batch. Defaults to `None`, all
            rows of the graph.

    Returns:
        Tensor `(B, T, units)` or `(B, N, units)`.

    Raises:
        ValueError: If an argument is out of its range, ranks are wrong,
            lengths differ, or the graph has other numbers of heads than at
            first.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graph = keras.ops.ones((2, 3, 5, 5))
    >>> layer = gk.layers.MultiHeadWeightedSum(value_dim=4)
    >>> tuple(layer(keras.ops.ones((2, 5, 6)), graph).shape)
    (2, 5, 12)

    Reference:
        Vaswani et al. 2017, "Attention Is All You Need", Sec. 3.2.2.
    """

    def __init__(
        self,
        value_dim=None,
        units=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive_or_none(value_dim=value_dim, units=units)
        self.value_dim = value_dim
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(self, features_shape, graph_shape):
        _, _, width = self._widths(features_shape, graph_shape)
        self.num_heads = graphs.graph_shape(graph_shape)[1]
        self.value_kernel = self._kernel("value", features_shape[-1], width)
        self.output_kernel = None
        if self.units is not None:
            self.output_kernel = self._kernel("output", width, self.units)

    def _kernel(self, name, rows, columns):
        return self.add_weight(
            name=f"{name}_kernel",
            shape=(rows, columns),
            initializer=fresh(self.kernel_initializer),
        )

    def _widths(self, features_shape, graph_shape):
        """Returns B, N and `K * value_dim`, or raises."""
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        shape = graphs.checked_graph_shape(
            "graph", graph_shape, (4,), "(B, K, T, T)"
        )
        check.check_same_length(features=features_shape[1], graph=shape[-1])
        heads = shape[1]
        value_dim = self.value_dim or max(1, features_shape[-1] // heads)
        return features_shape[0], shape[-2], heads * value_dim

    def call(self, features, graph, positions=None):
        if graphs.heads_of(graph) != self.num_heads:
            raise ValueError(
                f"`graph` must have the {self.num_heads} heads that the layer "
                f"was built with. Received: {graphs.heads_of(graph)} heads"
            )
        values = ops.matmul(features, self.value_kernel)  # (B, T, K * w)
        sums = gather_features(graph, values, positions)
        sums = ops.cast(sums, self.compute_dtype)
        if self.output_kernel is None:
            return sums
        return ops.matmul(sums, self.output_kernel)  # (B, N, units)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(self, features, graph, positions=None):
        shapes = keras.tree.map_structure(lambda x: x.shape, graph)
        shape = self.compute_output_shape(features.shape, shapes)
        if positions is not None:
            shape = (shape[0], positions.shape[0], shape[2])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_output_shape(self, features_shape, graph_shape):
        *rows, width = self._widths(features_shape, graph_shape)
        return (*rows, self.units or width)

    def get_config(self):
        return {
            **super().get_config(),
            "value_dim": self.value_dim,
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }
