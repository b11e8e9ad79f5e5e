"""Computes the loss of the context from features, Eq. 3, by direction."""

from keras import ops

from glomo_keras.layers import ContextDecoder
from glomo_keras.ops.context import context_targets
from glomo_keras.ops.context import losses_of_directions


def make_decoders(width, context_length, num_layers, directions, dtype):
    """Returns a built `ContextDecoder` by direction."""
    decoders = {
        direction: ContextDecoder(
            context_length,
            num_layers=num_layers,
            direction=direction,
            dtype=dtype,
            name=f"{direction}_decoder",
        )
        for direction in directions
    }
    for decoder in decoders.values():
        decoder.build((None, None, width), (None, None, width))
    return decoders


def context_losses(
    decoders,
    features,
    embedded,
    token_ids,
    padding_mask,
    positions,
    table,
    cross_entropy,
):
    """Decodes the features and returns the losses of the predicted tokens.

    Args:
        decoders: Dict of `ContextDecoder` by direction.
        features: Dict of F^L by direction, `(B, N, d)`.
        embedded: Tensor `(B, T, d)`, the input embeddings of the decoders.
        token_ids: Integer tensor `(B, T)`.
        padding_mask: Boolean tensor `(B, T)`.
        positions: Dict by direction of integer tensors `(N,)`, those of the
            features, or None for all.
        table: Tensor `(V, d)`, the embeddings that the softmax is tied to.
        cross_entropy: See `losses_of_directions`.

    Returns:
        Dict of scalars, see `losses_of_directions`.
    """
    decoded = {}
    for direction, decoder in decoders.items():
        rows = positions[direction]
        if rows is None:
            rows = ops.arange(ops.shape(token_ids)[1], dtype="int32")
        states = decoder(features[direction], embedded, rows)
        targets, weights = context_targets(
            token_ids, padding_mask, rows, decoder.context_length, direction
        )
        decoded[direction] = (
            ops.reshape(states, (-1, states.shape[-1])),
            ops.reshape(targets, (-1,)),
            ops.reshape(weights, (-1,)),
        )
    return losses_of_directions(decoded, table, cross_entropy)


def in_reading_order(positions, length):
    """Converts positions from a direction's start to ones from the left."""
    in_order = {
        direction: None if x is None else ops.cast(x, "int32")
        for direction, x in positions.items()
    }
    if in_order.get("backward") is not None:
        in_order["backward"] = length - 1 - in_order["backward"]
    return in_order
