import keras
from keras import ops

from glomo_keras.ops.gather import gather_mixed_heads
from glomo_keras.utils import validation as check


class _MixtureMessages(keras.layers.Layer):
    """Gathers features along one mixture of the graphs of all layers.

        m_t = W sum_lk w_lk sum_s G^lk_ts F_s,   w = softmax(free parameters)

    A task does the same with graphs (Sec. 2.2 of the paper, here without the
    products of layers); W stands for its first linear layer.

    Args:
        units: Integer, the width of m.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: Tensor `(B, T, d)`.
        graphs: List of L graphs of one layer, `(B, K, T, T)` or their factors.
            The last may have some rows only, those of `positions`.
        positions: Integer tensor `(N,)`, the receivers to compute. Defaults to
            `None`, all.

    Returns:
        Tensor `(B, T, units)` or `(B, N, units)`.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        check.check_positive(units=units)
        self.units = units
        self.supports_masking = True

    def build(self, features_shape, graphs_shape):
        layers, heads = len(graphs_shape), graphs_shape[0][1]
        self.logits = self.add_weight(
            name="logits", shape=(layers, heads), initializer="zeros"
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features_shape[-1], self.units),
            initializer="glorot_uniform",
        )

    def call(self, features, graphs, positions=None):
        *_, last = graphs
        shares = ops.unstack(self.mixture_weights(), axis=0)
        mixed = sum(
            gather_mixed_heads(
                graph, features, share, None if graph is last else positions
            )
            for graph, share in zip(graphs, shares, strict=True)
        )
        return ops.matmul(ops.cast(mixed, self.compute_dtype), self.kernel)

    def mixture_weights(self):
        """Returns w, float32 `(L, K)`; all of them sum to 1."""
        logits = ops.cast(ops.convert_to_tensor(self.logits), "float32")
        return ops.softmax(logits, axis=(0, 1))

    def compute_mask(self, inputs, previous_mask):
        return None
