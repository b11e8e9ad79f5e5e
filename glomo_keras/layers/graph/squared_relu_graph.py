import keras
from keras import ops

from glomo_keras.ops.graphs import materialize
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh


@keras.saving.register_keras_serializable(package="glomo_keras")
class SquaredReLUGraph(keras.layers.Layer):
    """From key and query features to graphs, Eq. 1.

    For each graph layer l and head k, with `q = W_q x_t`, `k = W_k x_s`:

        a_ts = relu(q . k - threshold_t)
        G_ts = a_ts ** 2 / sum_s' a_ts' ** 2

    over the admissible sources s: real units before t (`direction="forward"`)
    or after it (`"backward"`), never t itself. A row sums to 1, or to 0 where
    no admissible score is positive. There is no `1 / sqrt(key_dim)`.

    Notation: the paper's `G_ij` draws unit j from unit i and its columns sum
    to one; here row t is the receiver and rows sum to one. The paper's scalar
    b is `-threshold`.

    Scores, squares and sums are float32 whatever the dtype policy (a float16
    score of 256 overflows when squared), but bfloat16 queries and keys, which
    have the range of float32, are multiplied as they are. The graph has the
    compute dtype.

    Args:
        num_heads: integer, K.
        key_dim: integer, C, width of a key and of a query.
        num_graph_layers: integer, L, graphs made from the same features.
        threshold: `"query"`, a learned linear function of the query that the
            heads of a layer share (the released code), or `"scalar"`, one
            number per layer (the paper).
        activation: `"squared_relu"`; for ablations `"square"` (no ReLU: dense)
            or `"softmax"` (the threshold then has no effect).
        direction: `"forward"` or `"backward"`.
        kernel_initializer: initializer of the projections.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        keys: tensor `(B, T, d)`.
        queries: tensor `(B, T, d)`.
        padding_mask: boolean `(B, T)`, True = real unit. The Keras mask of
            `keys` is used where it is not given.
        factored: boolean. False gives the graph itself; True its factors,
            which every layer that takes a graph takes as well.

    Returns:
        Tensor `(B, L, K, T, T)`; with `factored=True` a dict of `queries` and
        `keys` `(B, L, K, T, C)`, `thresholds` `(B, L, K, T)` and, where there
        is a mask, `padding_mask` `(B, T)`.

    Raises:
        ValueError: an argument out of its range; inputs that are not of
            rank 3 or that differ in T.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.random.normal((2, 5, 4), seed=0)
    >>> graph = gk.layers.SquaredReLUGraph(num_heads=3, key_dim=4)(x, x)
    >>> tuple(graph.shape)
    (2, 1, 3, 5, 5)

    Reference:
        Yang et al. 2018, Eq. 1.
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        num_graph_layers=1,
        threshold="query",
        activation="squared_relu",
        direction="forward",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(
            num_heads=num_heads,
            key_dim=key_dim,
            num_graph_layers=num_graph_layers,
        )
        check.check_option("threshold", threshold, ("query", "scalar"))
        check.check_activation(activation)
        check.check_direction(direction)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.num_graph_layers = num_graph_layers
        self.threshold = threshold
        self.activation = activation
        self.direction = direction
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(self, keys_shape, queries_shape):
        self._check_shapes(keys_shape, queries_shape)
        self.key_kernel, self.key_bias = self._projection("key", keys_shape)
        self.query_kernel, self.query_bias = self._projection(
            "query", queries_shape
        )
        if self.threshold == "query":
            self.threshold_kernel = self.add_weight(
                name="threshold_kernel",
                shape=(self.num_graph_layers, self.key_dim),
                initializer=fresh(self.kernel_initializer),
            )
        self.threshold_bias = self.add_weight(
            name="threshold_bias",
            shape=(self.num_graph_layers,),
            initializer="zeros",
        )

    def _projection(self, name, shape):
        heads = (self.num_graph_layers, self.num_heads, self.key_dim)
        size = self.num_graph_layers * self.num_heads * self.key_dim
        kernel = self.add_weight(
            name=f"{name}_kernel",
            shape=(shape[-1], size),
            initializer=fresh(self.kernel_initializer),
        )
        bias = self.add_weight(
            name=f"{name}_bias", shape=heads, initializer="zeros"
        )
        return kernel, bias

    def _check_shapes(self, keys_shape, queries_shape):
        check.check_rank("keys", keys_shape, 3, "(B, T, d)")
        check.check_rank("queries", queries_shape, 3, "(B, T, d)")
        check.check_same_length(keys=keys_shape[1], queries=queries_shape[1])

    def call(
        self, keys, queries, padding_mask=None, factored=False, keys_mask=None
    ):
        mask = keys_mask if padding_mask is None else padding_mask
        check.check_padding_mask(mask, keys.shape[1])
        factors = _with_mask(
            {
                "queries": _project(
                    queries, self.query_kernel, self.query_bias, -2
                ),
                "keys": _project(keys, self.key_kernel, self.key_bias, -2),
                "thresholds": _project(queries, *self._threshold_weights(), -1),
            },
            mask,
        )
        if factored:
            return factors
        graph = materialize(
            factors, direction=self.direction, activation=self.activation
        )
        return ops.cast(graph, self.compute_dtype)

    def layers_of(self, keys, queries, padding_mask=None, positions=None):
        """The factors of each graph layer, what a training step needs of them.

        Args:
            keys: tensor `(B, T, d)`.
            queries: tensor `(B, T, d)`.
            padding_mask: boolean `(B, T)`, True = real unit.
            positions: integer tensor `(N,)`, the rows wanted of the last
                layer; all if None.

        Returns:
            List of L dicts of `queries` and `keys` `(B, K, T, C)`,
            `thresholds` `(B, K, T)` and, where there is a mask,
            `padding_mask`. With positions the last one has them as
            `positions` and queries and thresholds for these N rows only.
        """
        weights = zip(
            *(
                self._split_layers(*pair)
                for pair in (
                    (self.query_kernel, self.query_bias),
                    (self.key_kernel, self.key_bias),
                    self._threshold_weights(),
                )
            ),
            strict=True,
        )
        layers = []
        for index, (query, key, threshold) in enumerate(weights):
            last = index == self.num_graph_layers - 1
            rows = queries
            if last and positions is not None:
                rows = ops.take(queries, positions, axis=1)
            factors = {
                "queries": _project(rows, *query, -2),
                "keys": _project(keys, *key, -2),
                "thresholds": _project(rows, *threshold, -1),
            }
            layers.append(_with_mask(factors, padding_mask))
        if positions is not None:
            layers[-1]["positions"] = positions
        return layers

    def _threshold_weights(self):
        """Kernel `(d, L * K)` and bias `(L, K)` from features to thresholds.

        A linear function of the query is one of the features: it costs a
        column a head instead of a pass over all queries.
        """
        heads = (self.num_graph_layers, self.num_heads)
        bias = ops.broadcast_to(ops.expand_dims(self.threshold_bias, 1), heads)
        if self.threshold == "scalar":
            width = self.query_kernel.shape[0]
            return ops.zeros((width, heads[0] * heads[1]), bias.dtype), bias
        kernel = ops.reshape(self.query_kernel, (-1, *heads, self.key_dim))
        kernel = ops.einsum("dlkc,lc->dlk", kernel, self.threshold_kernel)
        shift = ops.einsum("lkc,lc->lk", self.query_bias, self.threshold_kernel)
        return ops.reshape(kernel, (-1, heads[0] * heads[1])), bias + shift

    def _split_layers(self, kernel, bias):
        kernels = ops.split(kernel, self.num_graph_layers, axis=1)
        biases = ops.unstack(ops.convert_to_tensor(bias), axis=0)
        return zip(kernels, biases, strict=True)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(
        self, keys, queries, padding_mask=None, factored=False, keys_mask=None
    ):
        self._check_shapes(keys.shape, queries.shape)
        shapes = self.compute_output_shape(keys.shape, queries.shape)
        if not factored:
            return keras.KerasTensor(shapes, dtype=self.compute_dtype)
        head = (*shapes[:-1], self.key_dim)
        shapes = {"queries": head, "keys": head, "thresholds": head[:-1]}
        specs = {
            name: keras.KerasTensor(shape, dtype=self.compute_dtype)
            for name, shape in shapes.items()
        }
        if padding_mask is not None or keys_mask is not None:
            specs["padding_mask"] = keras.KerasTensor(
                keys.shape[:2], dtype="bool"
            )
        return specs

    def compute_output_shape(self, keys_shape, queries_shape):
        self._check_shapes(keys_shape, queries_shape)
        batch, length = keys_shape[:2]
        heads = (self.num_graph_layers, self.num_heads)
        return (batch, *heads, length, length)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "num_graph_layers": self.num_graph_layers,
            "threshold": self.threshold,
            "activation": self.activation,
            "direction": self.direction,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }


def _project(features, kernel, bias, axis):
    """A linear function of `(B, T, d)`, laid out like its bias, T at `axis`.

    The bias is `([L,] K, C)` for queries and keys, which then are
    `(B, [L,] K, T, C)`, and `([L,] K)` for thresholds `(B, [L,] K, T)`.
    """
    batch, length = ops.shape(features)[:2]
    projected = ops.matmul(features, kernel)
    projected = ops.reshape(projected, (batch, length, *bias.shape)) + bias
    return ops.moveaxis(projected, 1, axis)


def _with_mask(factors, mask):
    if mask is None:
        return factors
    return {**factors, "padding_mask": ops.cast(mask, "bool")}
