"""Operations that a step of pretraining needs, counted on paper."""

PASSES = 3  # forward, and backward by inputs and by weights
DIRECTIONS = 2


def training_flops(
    *,
    vocabulary_size,
    embedding_dim,
    num_heads,
    key_dim,
    num_conv_layers,
    batch_size,
    length,
    num_positions=None,
    kernel_size=3,
    num_graph_layers=3,
    context_length=3,
    num_decoder_layers=2,
    trimmed=True,
):
    """Floating point operations of one training step.

    A multiplication with its addition counts as two, and the backward pass
    as twice the forward pass. Only matrix products count: of the scores and
    sums both halves, though one is masked; of the decoder not the product
    with the zeros that it is fed first.

    Args:
        vocabulary_size: V.
        embedding_dim: d.
        num_heads: K.
        key_dim: C.
        num_conv_layers: convolutions of each of the two CNNs.
        batch_size: B.
        length: T.
        num_positions: N, decoded positions; T if None.
        kernel_size: of the convolutions.
        num_graph_layers: L.
        context_length: D.
        num_decoder_layers: GRU layers of the decoder.
        trimmed: boolean, whether the last graph layer is computed only at
            the decoded positions, as is enough.

    Returns:
        Integer.
    """
    positions = length if num_positions is None else num_positions
    d, width = embedding_dim, num_heads * key_dim
    convolutions = 2 * num_conv_layers * kernel_size * d * d
    keys = d * width
    receiver = d * width + length * width + length * d + 9 * d * d
    last = positions if trimmed else length
    encoder = length * (convolutions + num_graph_layers * keys)
    encoder += ((num_graph_layers - 1) * length + last) * receiver
    gru_steps = num_decoder_layers * context_length * 6 * d * d - 3 * d * d
    softmax = context_length * vocabulary_size * d
    decoder = positions * (gru_steps + softmax)
    return 2 * PASSES * DIRECTIONS * batch_size * (encoder + decoder)
