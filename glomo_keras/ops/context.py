"""What the decoder of Eq. 3 is to predict around each position."""

from keras import ops

from glomo_keras.ops.equations import context_positions


def context_targets(
    token_ids, padding_mask, positions, context_length, direction
):
    """Returns the tokens to be predicted and which of them count.

    Args:
        token_ids: Integer tensor `(B, T)`.
        padding_mask: Boolean `(B, T)`, True = real position, or `None`.
        positions: Integer tensor `(N,)` in reading order.
        context_length: Integer D.
        direction: `"forward"` or `"backward"`.

    Returns:
        Tuple `(targets, weights)`: integer and float32 `(B, N, D)`. The
        weight is 0 for a target outside the sequence or in the padding, and
        at a padded position.
    """
    length = ops.shape(token_ids)[1]
    indices, inside = context_positions(
        positions, context_length, direction, length
    )
    targets = ops.take(token_ids, indices, axis=1)  # (B, N, D)
    counts = ops.broadcast_to(inside, ops.shape(targets))
    if padding_mask is not None:
        real_targets = ops.take(padding_mask, indices, axis=1)
        real_positions = ops.take(padding_mask, positions, axis=1)[..., None]
        counts = ops.logical_and(counts, real_targets)
        counts = ops.logical_and(counts, real_positions)
    return targets, ops.cast(counts, "float32")
