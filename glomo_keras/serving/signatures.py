"""The signatures of an exported graph predictor.

A signature reads its inputs (texts, ids or images), then computes an answer:
all graphs, one mixture of them, or the strongest edges. It is a function of
one dict of tensors, so that `keras.layers.TFSMLayer` can call it too.
"""

import functools

from glomo_keras.ops.equations import mix_graphs
from glomo_keras.ops.equations import num_terms
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.serving import limits
from glomo_keras.serving import text_reader

TEXT_INPUTS = ("token_ids", "padding_mask")
LENGTH_INPUTS = ("token_ids", "length")
IMAGE_INPUTS = ("images",)
# Names of the signatures that answer with graphs, a mixture and edges.
SIGNATURES = {
    ("text",): ("serving_default", "mixture", "edges"),
    IMAGE_INPUTS: ("serving_default", "mixture", "edges"),
    TEXT_INPUTS: ("from_ids", "mixture_from_ids", "edges_from_ids"),
    LENGTH_INPUTS: (
        "from_ids_and_length",
        "mixture_from_ids_and_length",
        "edges_from_ids_and_length",
    ),
}
NO_EDGE = -1


def make_signatures(
    predictor,
    tokenizer=None,
    vocabulary_path=None,
    max_length=None,
    max_characters=None,
    num_edges=8,
):
    """Returns a module to save and the dict of its signatures.

    The module holds the variables and not the model: a Keras model that is
    reachable from it would have its weights written a second time.

    Args:
        predictor: See `export_saved_model`.
        tokenizer: See `export_saved_model`.
        vocabulary_path: The file of the vocabulary, which becomes an asset.
            Needed with a tokenizer. Defaults to `None`.
        max_length: See `export_saved_model`.
        max_characters: See `export_saved_model`.
        num_edges: See `export_saved_model`.

    Returns:
        A `tf.Module` and a dict from names to functions, which are attributes
        of the module as well.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variables_ = [variable.value for variable in predictor.variables]
    if takes_text(predictor):
        readers = {TEXT_INPUTS: read_ids, LENGTH_INPUTS: read_ids_and_length}
    else:
        readers = {IMAGE_INPUTS: read_images}
    if tokenizer is not None:
        module.vocabulary = text_reader.vocabulary_table(vocabulary_path)
        readers["text",] = functools.partial(
            text_reader.read_text,
            tokenizer=tokenizer,
            table=module.vocabulary,
            max_characters=max_characters,
        )
    answers = _answers(predictor, num_edges)
    signatures = {}
    for names, reader in readers.items():
        read = functools.partial(reader, max_length=max_length)
        specs = _input_specs(predictor, names)
        for name, answer in zip(SIGNATURES[names], answers, strict=True):
            signatures[name] = _signature(specs, read, *answer)
    signatures.setdefault("serving_default", signatures.get("from_ids"))
    for name, signature in signatures.items():
        setattr(module, name, signature)
    return module, signatures


def takes_text(predictor):
    """Returns True for a predictor of texts, False for one of images."""
    return TEXT_INPUTS[0] in predictor.input


def weights_shape(predictor):
    """Returns `(R, N)`: directions, and weights of a mixture for each."""
    outputs = predictor.output
    directions = [name for name in DIRECTIONS if f"{name}_graphs" in outputs]
    layers, heads = outputs[f"{directions[0]}_graphs"].shape[1:3]
    return len(directions), num_terms(layers, heads, include_products=True)


def graph_function(predictor):
    """Returns the predictor in inference mode as a function of its inputs.

    The inputs are positional, in the order of `TEXT_INPUTS` or
    `IMAGE_INPUTS`. All signatures call the same function, which is saved once.
    """
    import tensorflow as tf

    names = TEXT_INPUTS if takes_text(predictor) else IMAGE_INPUTS
    specs = list(_input_specs(predictor, names).values())

    @tf.function(input_signature=specs, autograph=False)
    def graphs(*tensors):
        outputs = predictor(
            dict(zip(names, tensors, strict=True)), training=False
        )
        return {
            name: tf.cast(graph, tf.float32)  # (B, L, K, T, T)
            for name, graph in outputs.items()
        }

    return graphs


def read_ids(inputs, max_length):
    """Checks ids and their mask.

    Returns:
        List of the predictor's inputs, and a dict of what else to answer.
    """
    import tensorflow as tf

    ids, mask = (inputs[name] for name in TEXT_INPUTS)
    checks = limits.check_mask(tf.shape(ids), tf.shape(mask))
    return _checked_ids(ids, mask, checks, max_length), {}


def read_ids_and_length(inputs, max_length):
    """Checks ids and makes their mask; returns what `read_ids` does.

    A server that batches requests of different lengths pads each tensor with
    its first element, of a mask with True. A length is never padded.
    """
    import tensorflow as tf

    ids, length = inputs["token_ids"], inputs["length"]
    mask = tf.sequence_mask(length, tf.shape(ids)[1])  # (B, T)
    checks = limits.check_lengths(length, tf.shape(ids))
    return _checked_ids(ids, mask, checks, max_length), {}


def _checked_ids(ids, mask, checks, max_length):
    import tensorflow as tf

    shape = tf.shape(ids)
    checks = [
        *checks,
        *limits.check_not_empty("token_ids", shape),
        *limits.check_length(shape[1], max_length),
    ]
    with tf.control_dependencies(checks):
        return [tf.identity(ids), tf.identity(mask)]


def read_images(inputs, max_length):
    """Checks images; returns what `read_ids` does."""
    import tensorflow as tf

    images = inputs["images"]
    shape = tf.shape(images)
    checks = [
        *limits.check_not_empty("images", shape),
        *limits.check_length(shape[1] * shape[2], max_length),
    ]
    with tf.control_dependencies(checks):
        return [tf.identity(images)], {}


def mixtures(graphs, weights):
    """Mixes the graphs of all layers and heads with the client's weights.

    Args:
        graphs: Dict of `forward_graphs` and `backward_graphs`, or one of them,
            `(B, L, K, T, T)`.
        weights: `(B, R, N)`, or `(1, R, N)`.

    Returns:
        Dict of `forward_mixture` and `backward_mixture`, `(B, T, T)`.
    """
    import tensorflow as tf

    rows = tf.shape(next(iter(graphs.values())))[0]
    with tf.control_dependencies(limits.check_weights(weights, rows)):
        weights = tf.identity(weights)
    directions = [name for name in DIRECTIONS if f"{name}_graphs" in graphs]
    return {
        f"{direction}_mixture": mix_graphs(
            graphs[f"{direction}_graphs"],
            weights[:, index, None, None],  # (B, 1, 1, N)
        )[:, 0]
        for index, direction in enumerate(directions)
    }


def strongest_edges(graphs, count):
    """Finds the strongest edges of each position, in each layer and head.

    Args:
        graphs: Dict of graphs `(B, L, K, T, T)`.
        count: Number of edges k. Where there are fewer, source -1 and weight
            0 follow.

    Returns:
        Dict of sources (int32) and weights for each direction,
        `(B, L, K, T, k)`.
    """
    import tensorflow as tf

    edges = {}
    for name, graph in graphs.items():
        direction = name.removesuffix("_graphs")
        missing = tf.maximum(0, count - tf.shape(graph)[-1])
        padded = tf.pad(graph, [[0, 0]] * 4 + [[0, missing]])
        padded = tf.ensure_shape(padded, [*graph.shape[:-1], None])
        weights, sources = tf.math.top_k(padded, count)
        edges[f"{direction}_edge_weights"] = weights
        edges[f"{direction}_edge_sources"] = tf.where(
            weights > 0, sources, NO_EDGE
        )
    return edges


def _input_specs(predictor, names):
    """Returns the dict of the `tf.TensorSpec` of inputs, with their names."""
    import tensorflow as tf

    own = {
        "text": tf.TensorSpec((None,), tf.string, "text"),
        "length": tf.TensorSpec((None,), tf.int32, "length"),
    }
    for name, tensor in predictor.input.items():
        own[name] = tf.TensorSpec(tensor.shape, tensor.dtype, name)
    return {name: own[name] for name in names}


def _answers(predictor, num_edges):
    """Returns the specs of more inputs, and a function, for each answer.

    The function takes the predictor's inputs and the dict of all inputs.
    """
    import tensorflow as tf

    graphs = graph_function(predictor)
    shape = (None, *weights_shape(predictor))
    weights = {"weights": tf.TensorSpec(shape, tf.float32, "weights")}
    return (
        ({}, lambda given, inputs: graphs(*given)),
        (
            weights,
            lambda given, inputs: mixtures(graphs(*given), inputs["weights"]),
        ),
        ({}, lambda given, inputs: strongest_edges(graphs(*given), num_edges)),
    )


def _signature(specs, read, more_specs, compute):
    """Returns the function that reads its inputs and computes an answer."""
    import tensorflow as tf

    @tf.function(input_signature=[{**specs, **more_specs}], autograph=False)
    def signature(inputs):
        given, shown = read(inputs)
        return {**shown, **compute(given, inputs)}

    return signature
