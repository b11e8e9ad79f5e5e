"""The objective of pretraining: what is predicted around each position."""

from keras import ops

from glomo_keras.ops.batch_parts import mean_of_parts
from glomo_keras.ops.batch_parts import sum_of_parts
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


def losses_of_directions(decoded, table, cross_entropy):
    """Returns the losses of all directions, from one softmax.

    Args:
        decoded: Dict by direction of states `(R, d)`, targets `(R,)` and
            weights `(R,)`, 1 where there is something to predict, else 0;
            each of its own R.
        table: Tensor `(V, d)`, the embeddings that the softmax is tied to.
        cross_entropy: Function such as `tied_cross_entropy`.

    Returns:
        Dict of scalars, for each direction: its mean loss, such as
        `forward_loss`, and the number of tokens that it is the mean over,
        such as `forward_count`; and `loss`, the mean of the directions.
    """
    counts = {
        direction: mean_of_parts(ops.sum(weights))
        for direction, (_, _, weights) in decoded.items()
    }
    scaled = [
        (states, targets, ops.divide_no_nan(weights, counts[direction]))
        for direction, (states, targets, weights) in decoded.items()
    ]
    states, targets, weights = (
        parts[0] if len(parts) == 1 else ops.concatenate(parts)
        for parts in zip(*scaled, strict=True)
    )
    num_rows = ops.cast(ops.shape(weights)[0], "float32")
    # Weights around 1: float16's smallest number is not far below 1 / rows.
    total, rows = cross_entropy(
        states, ops.cast(table, states.dtype), targets, num_rows * weights
    )
    losses, start = {"loss": total / (len(decoded) * num_rows)}, 0
    for direction, (_, own_targets, _) in decoded.items():
        stop = start + ops.shape(own_targets)[0]
        losses[f"{direction}_loss"] = ops.sum(rows[start:stop]) / num_rows
        losses[f"{direction}_count"] = counts[direction]
        start = stop
    return losses


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
    counts = sum_of_parts(counts)
    share = ops.divide_no_nan(1.0, ops.take(counts, token_ids, axis=0))
    scaled = embedded * ops.cast(ops.expand_dims(share, -1), embedded.dtype)
    return ops.stop_gradient(embedded) + (scaled - ops.stop_gradient(scaled))
