import math

import keras
import numpy as np
from keras import ops

from glomo_keras.ops.equations import STEP
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import KEYS
from glomo_keras.ops.rotary import rotate
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh

THRESHOLDS = ("query", "scalar")

COLUMNS = 192
"""A product of matrices on TensorFlow's CPU rounds its last columns in another
order where there are not as many as its instructions take at once. With a
multiple of this, some heads have the bits that they have among all heads."""


@keras.saving.register_keras_serializable(package="glomo_keras")
class KeyQueryProjection(keras.layers.Layer):
    """Projects features to the queries, keys and thresholds of Eq. 1.

    For each graph layer l and head k

        q_t = W_q x_t + b_q,   k_s = W_k x_s + b_k
        threshold_t = w . q_t + c    (`threshold="query"`)
        threshold_t = c              (`threshold="scalar"`)

    with w and c shared by the heads of a layer. The result is a graph in its
    factored form, see `glomo_keras.ops.graphs`: `SquaredReLUGraph` makes the
    `(T, T)` graph of it, and every layer that takes a graph takes it as it is.

    The paper's scalar b is `-c`. The released code's threshold is the one
    computed from the query; its projections have biases too.

    With `rotary_dim=r` the first r dimensions of each query and key are
    turned by angles in proportion to their position, so that `q_t . k_s`
    depends on the distance from s to t too. Thresholds are computed before.

    Args:
        num_heads: Integer K.
        key_dim: Integer C, the width of a key and of a query.
        num_graph_layers: Integer L, graphs made from the same features.
            Defaults to `1`.
        threshold: `"query"` or `"scalar"`. Defaults to `"query"`.
        direction: `"forward"`, for graphs that look back, or `"backward"`.
            Defaults to `"forward"`.
        rotary_dim: Even integer r, at most C. Defaults to `0`, scores that
            know no distance, as in the paper.
        rotary_heads: Booleans `(K,)` or `(L, K)`, True for heads whose keys
            and queries are rotated. No effect if `rotary_dim` is 0. Defaults
            to `None`, all heads.
        kernel_initializer: Initializer of the kernels. Defaults to
            `"glorot_uniform"`.
        threshold_initializer: Initializer of c. Below 0, rows start with many
            edges. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        keys: Tensor `(B, T, d)`, the features of the sources.
        queries: Tensor `(B, T, d)`, the features of the receivers.
        padding_mask: Boolean `(B, T)`, True = real position. Defaults to the
            Keras mask of `keys`.

    Returns:
        Dict of `queries` `(B, L, K, T, C)`, `past_keys` (backward:
        `future_keys`) `(B, L, K, T, C)`, `thresholds` `(B, L, K, T)` and,
        with a mask, `padding_mask` `(B, T)`.

    Raises:
        ValueError: If an argument is out of its range, or the inputs are not
            of rank 3 or differ in T.

    Example:

    >>> import keras, glomo_keras as gk
    >>> x = keras.random.normal((2, 5, 4), seed=0)
    >>> factors = gk.layers.KeyQueryProjection(num_heads=3, key_dim=4)(x, x)
    >>> tuple(factors["past_keys"].shape)
    (2, 1, 3, 5, 4)

    Reference:
        Yang et al. 2018, Eq. 1; Su et al. 2021, "RoFormer" (the rotation).
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        num_graph_layers=1,
        threshold="query",
        direction="forward",
        rotary_dim=0,
        rotary_heads=None,
        kernel_initializer="glorot_uniform",
        threshold_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(
            num_heads=num_heads,
            key_dim=key_dim,
            num_graph_layers=num_graph_layers,
        )
        check.check_option("threshold", threshold, THRESHOLDS)
        check.check_option("direction", direction, DIRECTIONS)
        if rotary_dim not in range(0, key_dim + 1, 2):
            raise ValueError(
                "`rotary_dim` must be an even integer from 0 to `key_dim`. "
                f"Received: rotary_dim={rotary_dim}, key_dim={key_dim}"
            )
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.num_graph_layers = num_graph_layers
        self.threshold = threshold
        self.direction = direction
        self.rotary_dim = rotary_dim
        self.rotary_heads = _rotary_heads(
            rotary_heads, num_graph_layers, num_heads
        )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.threshold_initializer = keras.initializers.get(
            threshold_initializer
        )
        self.supports_masking = True

    def build(self, keys_shape, queries_shape):
        self._check_shapes(keys_shape, queries_shape)
        self.key_kernel, self.key_bias = self._projection("key", keys_shape)
        self.query_kernel, self.query_bias = self._projection(
            "query", queries_shape
        )
        self.threshold_kernel = None
        if self.threshold == "query":
            self.threshold_kernel = self.add_weight(
                name="threshold_kernel",
                shape=(self.num_graph_layers, self.key_dim),
                initializer=fresh(self.kernel_initializer),
            )
        self.threshold_bias = self.add_weight(
            name="threshold_bias",
            shape=(self.num_graph_layers,),
            initializer=fresh(self.threshold_initializer),
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

    def call(self, keys, queries, padding_mask=None, keys_mask=None):
        mask = keys_mask if padding_mask is None else padding_mask
        check.check_padding_mask(mask, keys.shape[1])
        threshold = [
            w if w is None else ops.convert_to_tensor(w)[:, None, None]
            for w in (self.threshold_kernel, self.threshold_bias)
        ]
        key_kernel, query_kernel = map(
            _widened, (self.key_kernel, self.query_kernel)
        )
        return self._with_mask(
            {
                **self._keys(
                    keys, (key_kernel, self.key_bias), self.rotary_heads
                ),
                **self._queries(
                    queries,
                    (query_kernel, self.query_bias),
                    threshold,
                    self.rotary_heads,
                ),
            },
            mask,
        )

    def layer_by_layer(self, keys, queries, padding_mask=None, positions=None):
        """Returns the factors of each layer, as a training step needs them.

        Their gradients are cheaper than those of one tensor of all layers,
        and the last layer's queries are computed only where they are wanted.

        Args:
            keys: Tensor `(B, T, d)`.
            queries: Tensor `(B, T, d)`.
            padding_mask: Boolean `(B, T)`, True = real position. Defaults to
                `None`.
            positions: Integer tensor `(N,)`, the rows wanted of the last
                layer. Defaults to `None`, all rows.

        Returns:
            List of L factored graphs without the axis L. With positions, the
            last has them as `positions` and queries and thresholds for these
            N rows only.
        """
        last = self.num_graph_layers - 1
        layers = []
        for index, (key, query, threshold) in enumerate(self._by_layer()):
            heads = self.rotary_heads and self.rotary_heads[index]
            factors = self._keys(keys, key, heads)
            rows = None
            if positions is not None and index == last:
                rows = factors["positions"] = positions
            factors |= self._queries(queries, query, threshold, heads, rows)
            layers.append(self._with_mask(factors, padding_mask))
        return layers

    def _keys(self, keys, weights, heads):
        keys = self._rotate(_project(keys, *weights), heads)
        return {KEYS[self.direction]: keys}

    def _queries(
        self, queries, query_weights, threshold_weights, heads, rows=None
    ):
        if rows is not None:
            queries = ops.take(queries, rows, axis=1)  # (B, N, d)
        queries = _project(queries, *query_weights)
        kernel, bias = threshold_weights
        if self.threshold == "query":
            terms = ops.cast(queries, "float32") * ops.cast(kernel, "float32")
            thresholds = ops.cast(ops.sum(terms, -1), queries.dtype) + bias
        else:
            thresholds = ops.broadcast_to(bias, ops.shape(queries)[:-1])
        queries = self._rotate(queries, heads, rows)
        return {"queries": queries, "thresholds": thresholds}

    def _rotate(self, x, heads, positions=None):
        """Rotates queries or keys; backward graphs count from the end.

        Args:
            x: Tensor `(B, [L,] K, T, C)`.
            heads: Booleans `([L,] K)`, the heads that are rotated, or None.
            positions: Integer tensor `(T,)`. Defaults to `None`, 0 to T - 1.
        """
        if not self.rotary_dim:
            return x
        if positions is None:
            positions = ops.arange(ops.shape(x)[-2], dtype="int32")
        positions = STEP[self.direction] * positions
        if heads is not None:  # The others stay at position 0.
            heads = ops.convert_to_tensor(np.array(heads, "int32"))
            positions = heads[..., None] * positions  # ([L,] K, T)
        return rotate(x, positions, self.rotary_dim)

    def _with_mask(self, factors, mask):
        if mask is None:
            return factors
        return {**factors, "padding_mask": ops.cast(mask, "bool")}

    def _by_layer(self):
        """Returns the weights of each layer, by pairs of kernel and bias."""

        def unstack(weights):
            return ops.unstack(ops.convert_to_tensor(weights), axis=0)

        count = self.num_graph_layers
        keys, queries = (
            zip(ops.split(kernel, count, axis=1), unstack(bias), strict=True)
            for kernel, bias in (
                (self.key_kernel, self.key_bias),
                (self.query_kernel, self.query_bias),
            )
        )
        kernels = [None] * count
        if self.threshold == "query":
            kernels = unstack(self.threshold_kernel)
        thresholds = zip(kernels, unstack(self.threshold_bias), strict=True)
        return zip(keys, queries, thresholds, strict=True)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(
        self, keys, queries, padding_mask=None, keys_mask=None
    ):
        shapes = self.compute_output_shape(keys.shape, queries.shape)
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
        head = (batch, self.num_graph_layers, self.num_heads, length)
        return {
            KEYS[self.direction]: (*head, self.key_dim),
            "queries": (*head, self.key_dim),
            "thresholds": head,
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "num_graph_layers": self.num_graph_layers,
            "threshold": self.threshold,
            "direction": self.direction,
            "rotary_dim": self.rotary_dim,
            "rotary_heads": self.rotary_heads,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "threshold_initializer": keras.initializers.serialize(
                self.threshold_initializer
            ),
        }


def _rotary_heads(given, num_layers, num_heads):
    """Returns `rotary_heads` as a list of L lists of K booleans, or None."""
    if given is None:
        return None
    heads = np.array(given, dtype=object)
    shape = (num_layers, num_heads)
    is_bool = all(isinstance(head, (bool, np.bool_)) for head in heads.flat)
    if not is_bool or heads.shape not in (shape, shape[1:]):
        raise ValueError(
            "`rotary_heads` must be booleans, one for each head, or a list of "
            f"them for each layer: {num_heads} heads, {num_layers} layers. "
            f"Received: rotary_heads={given}"
        )
    return np.broadcast_to(heads.astype(bool), shape).tolist()


def _project(features, kernel, bias):
    """`W x + b` by heads: `(B, T, d)` -> `(B, [L,] K, T, C)`.

    The bias has the shape `([L,] K, C)`, the kernel as many columns or more.
    """
    batch, length = ops.shape(features)[:2]
    projected = ops.matmul(features, kernel)  # (B, T, [L *] K * C or more)
    count = math.prod(bias.shape)
    if kernel.shape[1] > count:
        projected = projected[..., :count]
    projected = ops.reshape(projected, (batch, length, *bias.shape)) + bias
    return ops.moveaxis(projected, 1, -2)


def _widened(kernel):
    """Returns the kernel with a multiple of `COLUMNS` columns."""
    kernel = ops.convert_to_tensor(kernel)
    missing = -kernel.shape[1] % COLUMNS
    return ops.pad(kernel, ((0, 0), (0, missing))) if missing else kernel
