"""A small model with the inputs and outputs of a graph predictor."""

import keras
from keras import ops

NUM_LAYERS, NUM_HEADS = 2, 3


class ToyGraphs(keras.layers.Layer):
    """Squared-ReLU graphs from products of projected features."""

    def __init__(self, forward, **kwargs):
        super().__init__(**kwargs)
        self.forward = forward

    def build(self, features_shape, padding_mask_shape):
        width = features_shape[-1]
        self.kernel = self.add_weight(
            shape=(NUM_LAYERS, NUM_HEADS, width, width),
            initializer="random_normal",
        )

    def call(self, features, padding_mask):
        scores = ops.einsum(
            "btd,lkde,bse->blkts", features, self.kernel, features
        )
        units = ops.arange(ops.shape(features)[1])
        earlier, later = units[None, :], units[:, None]
        side = earlier < later if self.forward else earlier > later
        real = padding_mask[:, :, None] & padding_mask[:, None]
        allowed = ops.cast((side & real)[:, None, None], "float32")
        weights = ops.square(ops.relu(scores)) * allowed
        sums = ops.sum(weights, -1, keepdims=True)
        return ops.divide_no_nan(weights, sums)  # (B, L, K, T, T)


def toy_predictor(vocabulary_size=2000, width=64):
    """A functional model; its dropout shows whether training mode is on."""
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    mask = keras.Input((None,), dtype="bool", name="padding_mask")
    features = keras.layers.Embedding(
        vocabulary_size, width, embeddings_initializer="random_normal"
    )(ids)
    features = keras.layers.Dropout(0.5, seed=0)(features)
    return keras.Model(
        {"token_ids": ids, "padding_mask": mask},
        {
            "forward_graphs": ToyGraphs(True)(features, padding_mask=mask),
            "backward_graphs": ToyGraphs(False)(features, padding_mask=mask),
        },
    )
