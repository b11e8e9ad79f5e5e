"""The equations of GLoMo (Yang et al. 2018), one short function each.

| paper | function |
|---|---|
| Eq. 1, the graph | `squared_relu_graph` (`edge_weights`, `normalize_rows`) |
| Eq. 2, features gathered along its edges | `weighted_sum` |
| Eq. 3, the context that is predicted | `context_positions` |
| Eq. 3, its loss | `ops.cross_entropy.tied_cross_entropy` |
| Sec. 2.2, the mixture of graphs | `mixture_terms`, `mix_graphs` |
| Sec. 2.3, the gate | `gated_fusion` |

B batch, L graph layers, K heads, T positions, C key width, R receivers
(rows), S sources (columns), N terms of a mixture, n mixtures, D context
length, d feature width.

The paper writes G_ij with i the source and j the receiver. Here rows are the
receivers, as in attention: our G is the paper's transposed, its rows (not its
columns) sum to 1, and its products are in reverse order.

Scores, squares and sums are float32 whatever the dtype of the inputs: a
float16 score of 256 overflows when squared. bfloat16 has the range of float32
and is multiplied as it is.
"""

import keras
import numpy as np
from keras import ops

ACTIVATIONS = ("squared_relu", "square", "softmax")
STEP = {"forward": 1, "backward": -1}
LOWEST = np.finfo("float32").min
LEAST_SUM = 1e-18


# Eq. 1


def squared_relu_graph(
    queries, keys, thresholds, admissible, activation="squared_relu"
):
    """`G_ts = a_ts^2 / sum_s' a_ts'^2`, `a_ts = relu(q_t . k_s - b_t)`: Eq. 1.

    Args:
        queries: Tensor `(..., R, C)`.
        keys: Tensor `(..., S, C)`.
        thresholds: Tensor `(..., R)`, the b_t. The paper's b is a number and
            is added: `b_t = -b`.
        admissible: Boolean tensor that broadcasts to `(..., R, S)`.
        activation: One of `ACTIVATIONS`. Defaults to `"squared_relu"`.

    Returns:
        Float32 tensor `(..., R, S)` whose rows sum to 1, or to 0 where no
        admissible score is positive.
    """
    return normalize_rows(
        edge_weights(queries, keys, thresholds, admissible, activation)
    )


def edge_weights(
    queries, keys, thresholds, admissible, activation="squared_relu"
):
    """`a_ts^2`, the numerator of Eq. 1; 0 where not admissible.

    The ablations of the paper's Table 2: `"square"` has no ReLU, `"softmax"`
    is `exp(score - max)`, in which the threshold cancels.

    Arguments and shapes are those of `squared_relu_graph`.
    """
    scores = _scores(queries, keys)
    if activation == "softmax":
        return _masked_exp(scores, admissible)  # (..., R, S)
    thresholds = ops.expand_dims(ops.cast(thresholds, "float32"), -1)
    scores = ops.where(admissible, scores - thresholds, 0.0)  # (..., R, S)
    return ops.square(scores if activation == "square" else ops.relu(scores))


def _scores(queries, keys):
    """`q_t . k_s`: `(..., R, C)` and `(..., S, C)` -> `(..., R, S)`.

    TensorFlow sums the product of two matrices in another order than a batch
    of products, so a single one is computed in a batch of two: a head has the
    same scores whatever other heads and texts there are.
    """
    keys = ops.swapaxes(keys, -1, -2)
    is_lone = len(queries.shape) > 2 and set(queries.shape[1:-2]) <= {1}
    if not is_lone:
        return matmul_to_float32(queries, keys)
    queries, keys = (ops.concatenate([x, x[:1]]) for x in (queries, keys))
    return matmul_to_float32(queries, keys)[:-1]


def _masked_exp(scores, admissible):
    scores = ops.where(admissible, scores, LOWEST)
    highest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    return ops.where(admissible, ops.exp(scores - highest), 0.0)


def normalize_rows(weights):
    """Divides by row sums; a row without an edge stays 0 (no NaN)."""
    return weights * inverse_row_sums(weights)


def inverse_row_sums(weights):
    """`1 / sum_s w_ts`, `(..., R, 1)`, or 0 where the row is empty.

    A sum below 1e-18 counts as empty: the gradient has the square of the
    inverse sum, which would overflow.
    """
    sums = ops.sum(weights, axis=-1, keepdims=True)
    # Not `1 / sums`: TensorFlow would take approximate inverses, which depend
    # on where in the tensor a row stands.
    is_full = ops.cast(sums >= LEAST_SUM, sums.dtype)
    return is_full / (sums + (1.0 - is_full))


def admissible_edges(rows, columns, direction, padding_mask=None):
    """Returns which sources each receiver may attend to.

    Forward: sources before the receiver; backward: sources after it; never
    the receiver itself. Padding is neither source nor receiver.

    Args:
        rows: Integer tensor `(R,)`, positions of the receivers.
        columns: Integer tensor `(S,)`, positions of the sources.
        direction: `"forward"` or `"backward"`.
        padding_mask: Boolean tensor `(B, T)`, True = real position. Defaults
            to `None`.

    Returns:
        Boolean tensor `(R, S)`, or `(B, 1, R, S)` with a padding mask.
    """
    rows, columns = ops.cast(rows, "int32"), ops.cast(columns, "int32")
    t, s = rows[:, None], columns[None]
    allowed = s < t if direction == "forward" else s > t  # (R, S)
    if padding_mask is None:
        return allowed
    real_rows = ops.take(padding_mask, rows, axis=1)  # (B, R)
    real_columns = ops.take(padding_mask, columns, axis=1)  # (B, S)
    real = ops.logical_and(real_rows[:, :, None], real_columns[:, None])
    return ops.logical_and(allowed, real)[:, None]  # (B, 1, R, S)


# Eq. 2


def weighted_sum(weights, values, inverse_sums=None):
    """`m_t = sum_s G_ts F_s`, the sum of Eq. 2.

    Of weights that are not normalised yet, `(a^2 @ F) / rowsum(a^2)`: this
    divides R d numbers in place of R S.

    Args:
        weights: Tensor `(B, K, R, S)`: G, or `a^2` of `edge_weights`.
        values: Tensor `(B, K or 1, S, d)`.
        inverse_sums: Tensor `(B, K, R, 1)` of `inverse_row_sums`, or `None`
            for weights that are normalised. Defaults to `None`.

    Returns:
        Float32 tensor `(B, K, R, d)`.
    """
    total = matmul_to_float32(ops.cast(weights, values.dtype), values)
    return total if inverse_sums is None else total * inverse_sums


# Eq. 3


def context_positions(positions, context_length, direction, length):
    """`t+1 .. t+D` of each position t (backward: `t-1 .. t-D`), for Eq. 3.

    Args:
        positions: Integer tensor `(N,)` in reading order.
        context_length: Integer D.
        direction: `"forward"` or `"backward"`.
        length: T, integer or scalar tensor.

    Returns:
        Tuple `(indices, inside)`: integer `(N, D)`, clipped to the sequence,
        and boolean `(N, D)`, False where they were clipped.
    """
    steps = STEP[direction] * ops.arange(1, context_length + 1, dtype="int32")
    indices = ops.cast(positions, "int32")[:, None] + steps  # (N, D)
    inside = ops.logical_and(indices >= 0, indices < length)
    return ops.clip(indices, 0, length - 1), inside


# Sec. 2.2: the mixture


def mixture_terms(graph, include_products=True):
    """Yields `G^1, G^2, P^2, G^3, P^3, ...`, each `(B, K, T, T)`.

    `P^l = G^l @ ... @ G^1`, head k with head k, is the paper's Lambda^l. P^1
    is G^1 and not yielded twice.

    Args:
        graph: Tensor `(B, L, K, T, T)`.
        include_products: Whether to yield the products. Defaults to `True`.
    """
    product = None
    for layer in ops.unstack(graph, axis=1):
        yield layer
        if product is None:
            product = layer
        elif include_products:
            product = ops.matmul(layer, product)
            yield product


def mix_graphs(graph, weights, include_products=True):
    """`M = sum_n w_n A_n` over the N terms of a mixture.

    Args:
        graph: Tensor `(B, L, K, T, T)`.
        weights: Tensor `(n, N)`, or `(B, T, n, N)`, one set per receiver.
        include_products: Whether the terms include the products. Defaults to
            `True`.

    Returns:
        Tensor `(B, n, T, T)`.
    """
    shares = ops.split(weights, weights.shape[-1] // graph.shape[2], axis=-1)
    terms = mixture_terms(graph, include_products)
    return sum(
        mix_heads(share, term)
        for share, term in zip(shares, terms, strict=True)
    )


def mix_heads(weights, values):
    """`sum_k w_k X_k`: the heads of one term, weighted.

    Args:
        weights: Tensor `(n, K)`, or `(B, R, n, K)`, one set per receiver.
        values: Tensor `(B, K, R, X)`: a term, or what it sums up.

    Returns:
        Tensor `(B, n, R, X)`.
    """
    if len(weights.shape) == 2:
        # An einsum would move K to the end, a pass over all of the values.
        batch, heads, length, width = ops.shape(values)
        values = ops.reshape(values, (batch, heads, length * width))
        mixed = ops.matmul(weights[None], values)
        return ops.reshape(mixed, (batch, weights.shape[0], length, width))
    if weights.shape[2] > 1:
        return ops.einsum("brnk,bkrx->bnrx", weights, values)
    shares = ops.transpose(weights, (0, 2, 3, 1))[..., None]  # (B, n, K, R, 1)
    return ops.sum(values[:, None] * shares, axis=2)


def mixture_softmax(logits):
    """Returns the weights of a mixture, float32; they sum to 1 over axis -1."""
    # `ops.softmax` would warn where there is a single term.
    return ops.exp(ops.log_softmax(ops.cast(logits, "float32"), axis=-1))


def num_terms(num_layers, num_heads, include_products=True):
    """`N = (2L - 1) K`, the number of graphs in a mixture; L K without P."""
    layers = 2 * num_layers - 1 if include_products else num_layers
    return layers * num_heads


# Sec. 2.3: the gate


def scaled_messages(scales, sums):
    """`[R_fw1, R_bw1, R_fw2, ...]`, the directions of each mixture in turn.

    Args:
        scales: Tensor `(directions, n)`.
        sums: List of a tensor `(B, n, T, d)` for each direction.

    Returns:
        Tensor `(B, T, directions * n * d)`.
    """
    return ops.concatenate(
        [
            scales[index, mixture] * x[:, mixture]
            for mixture in range(scales.shape[1])
            for index, x in enumerate(sums)
        ],
        axis=-1,
    )


def gated_fusion(features, values, gates):
    """`[H, (W1 X + b1) * sigmoid(W2 X + b2)]` with `X = [H, HM_1, ...]`.

    Args:
        features: H, tensor `(B, T, d)`.
        values: `W1 X + b1`, tensor `(B, T, units)`.
        gates: `W2 X + b2`, tensor `(B, T, units)`.

    Returns:
        Tensor `(B, T, d + units)`.
    """
    return ops.concatenate([features, values * ops.sigmoid(gates)], axis=-1)


def matmul_to_float32(x, y):
    """Multiplies in float32, or in bfloat16 if x is, to a float32 result."""
    if keras.backend.standardize_dtype(x.dtype) != "bfloat16":
        x = ops.cast(x, "float32")
    return ops.cast(ops.matmul(x, ops.cast(y, x.dtype)), "float32")
