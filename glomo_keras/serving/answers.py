"""What the signatures of an export compute from ids."""

from glomo_keras.ops.mixture import mix_graphs
from glomo_keras.serving.inputs import ids_specs

DIRECTIONS = ("forward", "backward")
OUTPUTS = tuple(f"{direction}_graphs" for direction in DIRECTIONS)
NO_EDGE = -1


def graph_function(predictor):
    """The predictor in inference mode, saved once for all signatures."""
    import tensorflow as tf

    @tf.function(input_signature=ids_specs(), autograph=False)
    def graphs(token_ids, padding_mask):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        outputs = predictor(inputs, training=False)
        return {
            name: tf.cast(outputs[name], tf.float32)  # (B, L, K, T, T)
            for name in OUTPUTS
        }

    return graphs


def mixture(graphs, token_ids, padding_mask, weights):
    """Graphs of all layers and heads mixed with given weights.

    Args:
        graphs: function of the two inputs, see `graph_function`.
        token_ids, padding_mask: tensors `(B, T)`.
        weights: float32 `(B, 2, N)` or `(1, 2, N)`, for each direction.

    Returns:
        Dict of `forward_mixture` and `backward_mixture`, `(B, T, T)`.
    """
    import tensorflow as tf

    shape = tf.shape(token_ids)
    rows = tf.stack([shape[0], shape[1], 1, weights.shape[-1]])
    mixed = {}
    answer = graphs(token_ids, padding_mask)
    for index, direction in enumerate(DIRECTIONS):
        mixed_graph = mix_graphs(
            answer[OUTPUTS[index]],
            tf.broadcast_to(weights[:, index, None, None], rows),
            include_products=True,
            direction=direction,
            activation=None,  # used for graphs in factored form alone
        )
        mixed[f"{direction}_mixture"] = mixed_graph[:, 0]  # (B, T, T)
    return mixed


def edges(graphs, count, token_ids, padding_mask):
    """The strongest edges of each unit, in each layer and head.

    Args:
        graphs: function of the two inputs, see `graph_function`.
        count: int k.
        token_ids, padding_mask: tensors `(B, T)`.

    Returns:
        Dict of sources (int32) and weights for each direction,
        `(B, L, K, T, k)`.
    """
    import tensorflow as tf

    kept = tf.minimum(count, tf.shape(token_ids)[1])
    strongest = {}
    answer = graphs(token_ids, padding_mask)
    for direction, name in zip(DIRECTIONS, OUTPUTS, strict=True):
        weights, sources = tf.math.top_k(answer[name], kept)
        sources = tf.where(weights > 0, sources, NO_EDGE)
        strongest[f"{direction}_edge_weights"] = _widened(weights, count, 0)
        strongest[f"{direction}_edge_sources"] = _widened(
            sources, count, NO_EDGE
        )
    return strongest


def _widened(values, width, padding):
    import tensorflow as tf

    missing = width - tf.shape(values)[-1]
    values = tf.pad(
        values, [[0, 0]] * 4 + [[0, missing]], constant_values=padding
    )
    return tf.ensure_shape(values, [*values.shape[:-1], width])
