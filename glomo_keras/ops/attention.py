"""Attention in which padding is left out."""

from keras import ops

from glomo_keras.ops.equations import LOWEST


def masked_softmax(scores, mask=None, axis=-1):
    """Computes a softmax over the admitted scores, in float32.

    Args:
        scores: Tensor.
        mask: Boolean tensor that broadcasts to it, True = admitted. Defaults
            to `None`: all are.
        axis: Integer. Defaults to `-1`.

    Returns:
        Float32 tensor that sums to 1 over the axis, or to 0 where nothing is
        admitted; 0 where not admitted.
    """
    scores = ops.cast(scores, "float32")
    if mask is not None:
        scores = ops.where(mask, scores, LOWEST)
    highest = ops.stop_gradient(ops.max(scores, axis=axis, keepdims=True))
    weights = ops.exp(scores - highest)
    if mask is not None:
        weights = ops.where(mask, weights, 0.0)
    total = ops.sum(weights, axis=axis, keepdims=True)
    return ops.divide_no_nan(weights, total)


def trilinear_scores(features, memory, kernel, memory_kernel, scale):
    """`w_x . x_i + w_m . m_j + scale . (x_i * m_j)`, in float32.

    Args:
        features: x, tensor `(B, T, d)`.
        memory: m, tensor `(B, S, d)`.
        kernel: w_x, tensor `(d,)`.
        memory_kernel: w_m, tensor `(d,)`.
        scale: tensor `(d,)`.

    Returns:
        Float32 tensor `(B, T, S)`.
    """
    # float16 overflows where products of wide features are summed.
    features, memory, kernel, memory_kernel, scale = (
        ops.cast(x, "float32")
        for x in (features, memory, kernel, memory_kernel, scale)
    )
    rows = ops.expand_dims(ops.matmul(features, kernel), 2)  # (B, T, 1)
    columns = ops.expand_dims(ops.matmul(memory, memory_kernel), 1)
    dots = ops.matmul(features * scale, ops.swapaxes(memory, 1, 2))
    return dots + rows + columns  # (B, T, S)


def admitted_pairs(features, memory, memory_mask, exclude_diagonal):
    """Returns which positions of the memory may be attended to.

    Args:
        features: Tensor `(B, T, d)`.
        memory: Tensor `(B, S, d)`.
        memory_mask: Boolean `(B, S)` or `None`.
        exclude_diagonal: Whether position i may not attend to position i.

    Returns:
        Boolean tensor that broadcasts to `(B, T, S)`, or `None` for all.
    """
    admitted = None
    if memory_mask is not None:
        admitted = ops.expand_dims(ops.cast(memory_mask, "bool"), 1)
    if exclude_diagonal:
        rows = ops.arange(ops.shape(features)[1], dtype="int32")
        columns = ops.arange(ops.shape(memory)[1], dtype="int32")
        other = ops.expand_dims(rows, 1) != ops.expand_dims(columns, 0)
        other = ops.expand_dims(other, 0)  # (1, T, S)
        if admitted is None:
            return other
        admitted = ops.logical_and(admitted, other)
    return admitted
