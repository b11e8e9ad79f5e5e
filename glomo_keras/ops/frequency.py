"""Gradients of embeddings divided by the frequency of the token."""

from keras import ops


def scale_gradient_by_frequency(
    embedded, token_ids, vocabulary_size, padding_mask
):
    """Divides gradients by each token's count in the batch; same values.

    A word that occurs c times in `token_ids` receives the mean, not the sum,
    of the gradients of its occurrences, as in the released code.

    Args:
        embedded: tensor `(B, T, d)`.
        token_ids: integer tensor `(B, T)`.
        vocabulary_size: V.
        padding_mask: boolean tensor `(B, T)`; padding does not count.

    Returns:
        Tensor `(B, T, d)`.
    """
    counts = ops.segment_sum(
        ops.reshape(ops.cast(padding_mask, "float32"), (-1,)),
        ops.reshape(token_ids, (-1,)),
        num_segments=vocabulary_size,
    )
    share = ops.divide_no_nan(1.0, ops.take(counts, token_ids, axis=0))
    scaled = embedded * ops.cast(ops.expand_dims(share, -1), embedded.dtype)
    return ops.stop_gradient(embedded) + (scaled - ops.stop_gradient(scaled))
