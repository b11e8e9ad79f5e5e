"""Eq. 1 of the paper: from queries and keys to the edges of a graph.

Shape letters: B batch, K heads, R rows (receivers), S columns (sources),
T units, C key width, L graph layers. Leading axes written `...` are any.
"""

import keras
import numpy as np
from keras import ops

ACTIVATIONS = ("squared_relu", "square", "softmax")
DIRECTIONS = ("forward", "backward")
_LEAST_SUM = 1e-18
_LOWEST = np.finfo("float32").min


def admissible_edges(rows, columns, direction, padding_mask=None):
    """Which sources a receiver may draw on.

    `forward` looks back (source before receiver), `backward` ahead; a unit
    never draws on itself. Padded units neither draw nor are drawn on.

    Args:
        rows: integer tensor `(R,)`, positions of the receivers.
        columns: integer tensor `(S,)`, positions of the sources.
        direction: `"forward"` or `"backward"`.
        padding_mask: optional boolean tensor `(B, T)`, True = real unit.

    Returns:
        Boolean tensor `(R, S)`, or `(B, 1, R, S)` with a padding mask.
    """
    before = ops.expand_dims(columns, 0) < ops.expand_dims(rows, 1)
    after = ops.expand_dims(columns, 0) > ops.expand_dims(rows, 1)
    allowed = before if direction == "forward" else after  # (R, S)
    if padding_mask is None:
        return allowed
    real_rows = ops.take(padding_mask, rows, axis=1)  # (B, R)
    real_columns = ops.take(padding_mask, columns, axis=1)  # (B, S)
    real = ops.logical_and(
        ops.expand_dims(real_rows, 2), ops.expand_dims(real_columns, 1)
    )
    return ops.expand_dims(ops.logical_and(allowed, real), 1)  # (B, 1, R, S)


def edge_weights(queries, keys, thresholds, admissible, activation):
    """Unnormalised edge weights, `relu(q . k - threshold) ** 2` of Eq. 1.

    Scores and squares are float32 whatever the inputs are: a float16 score
    of 256 overflows when squared. bfloat16, which has the range of float32,
    is multiplied as it is. `"square"` leaves the ReLU out; `"softmax"` gives
    `exp(score - max)`, for which the threshold cancels (the ablations of
    the paper's Table 2).

    Args:
        queries: tensor `(..., R, C)`.
        keys: tensor `(..., S, C)`.
        thresholds: tensor `(..., R)`.
        admissible: boolean tensor that broadcasts to `(..., R, S)`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`.

    Returns:
        Non-negative float32 tensor `(..., R, S)`, 0 where not admissible.
    """
    scores = matmul_to_float32(queries, ops.swapaxes(keys, -1, -2))
    if activation == "softmax":
        return _softmax_weights(scores, admissible)
    thresholds = ops.cast(thresholds, "float32")
    scores = scores - ops.expand_dims(thresholds, -1)
    if activation == "square":
        return ops.square(ops.where(admissible, scores, 0.0))
    # Of what is not negative a lowest limit of 0 leaves 0: cheaper than a
    # choice, and an infinite score in the padding stays without effect.
    limits = ops.where(admissible, np.float32(np.inf), 0.0)
    return ops.square(ops.minimum(ops.relu(scores), limits))


def matmul_to_float32(x, y):
    """A product as float32; bfloat16 tensors are multiplied as they are."""
    if keras.backend.standardize_dtype(x.dtype) != "bfloat16":
        x = ops.cast(x, "float32")
    return ops.cast(ops.matmul(x, ops.cast(y, x.dtype)), "float32")


def _softmax_weights(scores, admissible):
    scores = ops.where(admissible, scores, _LOWEST)
    highest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    return ops.where(admissible, ops.exp(scores - highest), 0.0)


def row_sums(weights):
    """What to divide rows by; 0 where there is as good as no edge.

    The gradient of the division has the inverse square of the sum, which
    overflows for scores below 1e-9 (squares below 1e-18).
    """
    sums = ops.sum(weights, axis=-1, keepdims=True)
    return ops.where(sums < _LEAST_SUM, 0.0, sums)


def normalize_rows(weights):
    """Rows that sum to 1; a row without an edge stays 0 (no NaN)."""
    return weights * ops.divide_no_nan(1.0, row_sums(weights))


def edge_statistics(weights, admissible):
    """How sparse a graph is.

    Args:
        weights: tensor `(..., R, S)`, 0 where there is no edge.
        admissible: boolean tensor that broadcasts to it.

    Returns:
        Two float32 scalars: the share of the admissible edges that are not
        zero; the share of rows without an edge among those that could have
        one. Both 0 where nothing is admissible.
    """
    edges = ops.cast(weights > 0, "float32")
    possible = ops.cast(admissible, "float32") * ops.ones_like(edges)
    density = ops.divide_no_nan(ops.sum(edges), ops.sum(possible))
    filled = ops.sum(ops.max(edges, axis=-1))
    fillable = ops.sum(ops.max(possible, axis=-1))
    return density, ops.divide_no_nan(fillable - filled, fillable)
