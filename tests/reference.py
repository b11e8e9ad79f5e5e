"""The formulas of the paper in numpy and float64.

Written from the paper and from numbers of the released code, independently of
the library; with loops where loops are plainest.
"""

import numpy as np

NEVER = -1e300


def admissible(length, direction, padding_mask=None):
    """Booleans `(B or 1, T, T)`: is s a source of t?"""
    t, s = np.arange(length)[:, None], np.arange(length)[None]
    allowed = (s < t if direction == "forward" else s > t)[None]
    if padding_mask is None:
        return allowed
    mask = np.asarray(padding_mask, bool)
    return allowed & mask[:, :, None] & mask[:, None, :]


def graph(factors, activation="squared_relu"):
    """Eq. 1: factors `(B, ..., T, C)` -> `(B, ..., T, T)`."""
    direction = "forward" if "past_keys" in factors else "backward"
    keys = factors["past_keys" if direction == "forward" else "future_keys"]
    queries, keys, thresholds = (
        np.asarray(x, "float64")
        for x in (factors["queries"], keys, factors["thresholds"])
    )
    length = keys.shape[-2]
    allowed = admissible(length, direction, factors.get("padding_mask"))
    axes = (slice(None),) + (None,) * (keys.ndim - 3)
    allowed = allowed[axes]  # (B or 1, 1, .., T, T)
    scores = queries @ np.swapaxes(keys, -1, -2)
    if activation == "softmax":
        scores = np.where(allowed, scores, NEVER)
        scores = scores - scores.max(-1, keepdims=True)
        weights = np.where(allowed, np.exp(scores), 0)
    else:
        scores = scores - thresholds[..., None]
        if activation == "squared_relu":
            scores = np.maximum(scores, 0)
        weights = np.where(allowed, scores, 0) ** 2
    sums = weights.sum(-1, keepdims=True)
    return np.where(sums > 0, weights / np.where(sums > 0, sums, 1), 0)


def weighted_sum(layer, features):
    """Eq. 2's sum: `(B, K, T, T)` and `(B, T, d)` -> `(B, T, d)`."""
    slices = np.split(features, layer.shape[1], axis=-1)
    return np.concatenate(
        [layer[:, k] @ part for k, part in enumerate(slices)], axis=-1
    )


def terms(graphs, include_products):
    """The N matrices of the mixture, `(B, N, T, T)`."""
    listed = [graphs[:, 0]]
    product = graphs[:, 0]
    for layer in range(1, graphs.shape[1]):
        product = graphs[:, layer] @ product
        listed.append(graphs[:, layer])
        if include_products:
            listed.append(product)
    return np.concatenate(listed, axis=1)


def softmax(logits):
    exp = np.exp(logits - logits.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mix(graphs, logits, include_products=True):
    """M `(B, n, T, T)`, from logits `(n, N)` or `(B, T, n, N)`."""
    matrices = terms(graphs, include_products)
    weights = softmax(np.asarray(logits, "float64"))
    if weights.ndim == 2:
        weights = np.broadcast_to(
            weights, (*matrices.shape[::2], *weights.shape)
        )
    return np.einsum("btnm,bmts->bnts", weights, matrices)


def gru_cell(inputs, state, kernel, recurrent_kernel, bias):
    """torch's and Keras's (`reset_after`) GRU, gates z, r, h in columns."""
    x = np.split(inputs @ kernel + bias[0], 3, axis=-1)
    h = np.split(state @ recurrent_kernel + bias[1], 3, axis=-1)
    update, reset = sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1])
    new = np.tanh(x[2] + reset * h[2])
    return update * state + (1 - update) * new


def causal_conv(x, kernel, bias):
    """`(B, T, i)` with kernel `(k, i, o)`: the window ends at its position."""
    size, length = kernel.shape[0], x.shape[1]
    padded = np.pad(x, ((0, 0), (size - 1, 0), (0, 0)))
    return bias + sum(
        padded[:, tap : tap + length] @ kernel[tap] for tap in range(size)
    )


def cross_entropy(logits, targets):
    """Per row, in nats."""
    logits = logits - logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(logs, targets[..., None], -1)[..., 0]
