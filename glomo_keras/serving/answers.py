"""What the signatures of an export compute from the predictor's inputs."""

from glomo_keras.ops.equations import mix_graphs
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.serving import inputs
from glomo_keras.serving import limits

NO_EDGE = -1


def directions_of(predictor):
    """The directions in which a predictor has graphs, forward first."""
    return [name for name in DIRECTIONS if f"{name}_graphs" in predictor.output]


def graph_function(predictor):
    """The predictor in inference mode, saved once for all signatures."""
    import tensorflow as tf

    names = inputs.input_names(predictor)

    @tf.function(input_signature=inputs.input_specs(predictor), autograph=False)
    def graphs(*tensors):
        given = dict(zip(names, tensors, strict=True))
        outputs = predictor(given, training=False)
        return {
            name: tf.cast(graph, tf.float32)  # (B, L, K, T, T)
            for name, graph in outputs.items()
        }

    return graphs


def mixture(graphs, directions, *tensors):
    """Graphs of all layers and heads mixed with given weights.

    Args:
        graphs: function of the inputs, see `graph_function`.
        directions: list of the R directions.
        *tensors: the inputs, and the weights, float32 `(B, R, N)` or
            `(1, R, N)`.

    Returns:
        Dict of `forward_mixture` and `backward_mixture`, `(B, T, T)`.
    """
    import tensorflow as tf

    *given, weights = tensors
    rows = tf.shape(given[0])[0]
    with tf.control_dependencies(limits.refuse_other_batch(weights, rows)):
        weights = tf.identity(weights)
    mixed = {}
    answer = graphs(*given)
    for index, direction in enumerate(directions):
        graph = answer[f"{direction}_graphs"]
        units = tf.shape(graph)[-1]
        mixed_graph = mix_graphs(
            graph,
            tf.broadcast_to(
                weights[:, index, None, None],
                tf.stack([rows, units, 1, weights.shape[-1]]),
            ),
        )
        mixed[f"{direction}_mixture"] = mixed_graph[:, 0]  # (B, T, T)
    return mixed


def edges(graphs, count, *tensors):
    """The strongest edges of each unit, in each layer and head.

    Args:
        graphs: function of the inputs, see `graph_function`.
        count: int k.
        *tensors: the inputs.

    Returns:
        Dict of sources (int32) and weights for each direction,
        `(B, L, K, T, k)`.
    """
    import tensorflow as tf

    strongest = {}
    for name, graph in graphs(*tensors).items():
        direction = name.removesuffix("_graphs")
        kept = tf.minimum(count, tf.shape(graph)[-1])
        weights, sources = tf.math.top_k(graph, kept)
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
