"""The units around a position: what the decoder of Eq. 3 predicts."""

from keras import ops

STEP = {"forward": 1, "backward": -1}


def context_indices(positions, context_length, direction, length):
    """Positions of the D units that follow (or precede) each position.

    Args:
        positions: integer tensor `(N,)` in reading order.
        context_length: D.
        direction: `"forward"` (t+1 .. t+D) or `"backward"` (t-1 .. t-D).
        length: T, integer or scalar tensor.

    Returns:
        `(indices, inside)`: integer `(N, D)`, clipped to the sequence, and
        boolean `(N, D)`, False where the clipping took effect.
    """
    positions = ops.cast(ops.expand_dims(positions, 1), "int32")
    steps = STEP[direction] * ops.arange(1, context_length + 1, dtype="int32")
    indices = positions + steps  # (N, D)
    inside = ops.logical_and(indices >= 0, indices < length)
    return ops.clip(indices, 0, length - 1), inside


def take_context(values, indices):
    """`(B, T, ...)` at `(N, D)` -> `(B, N, D, ...)`."""
    return ops.take(values, indices, axis=1)


def context_targets(
    token_ids, padding_mask, positions, context_length, direction
):
    """What is to be predicted at each position, and what counts.

    Args:
        token_ids: integer tensor `(B, T)`.
        padding_mask: boolean `(B, T)`, True = real unit, or None.
        positions: integer tensor `(N,)` in reading order.
        context_length: D.
        direction: `"forward"` or `"backward"`.

    Returns:
        `(targets, weights)`: integer and float32 `(B, N, D)`; the weight is
        0 for a target outside the sequence or in the padding, and for a
        padded position.
    """
    length = ops.shape(token_ids)[1]
    indices, inside = context_indices(
        positions, context_length, direction, length
    )
    targets = take_context(token_ids, indices)
    counts = ops.broadcast_to(inside, ops.shape(targets))
    if padding_mask is not None:
        real_targets = take_context(padding_mask, indices)
        real_positions = ops.take(padding_mask, positions, axis=1)
        counts = ops.logical_and(counts, real_targets)
        counts = ops.logical_and(counts, ops.expand_dims(real_positions, 2))
    return targets, ops.cast(counts, "float32")
