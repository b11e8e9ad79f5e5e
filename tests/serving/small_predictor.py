"""A graph predictor small enough for tests."""

from glomo_keras.models import GraphPredictor

NUM_LAYERS, NUM_HEADS = 2, 3


def small_predictor(vocabulary_size=5, embedding_dim=4, dtype=None):
    """Not pretrained; its dropout shows whether training mode is on."""
    return GraphPredictor(
        vocabulary_size=vocabulary_size,
        embedding_dim=embedding_dim,
        num_heads=NUM_HEADS,
        key_dim=4,
        num_conv_layers=1,
        num_graph_layers=NUM_LAYERS,
        dropout=0.5,
        dtype=dtype,
    )
