"""The signatures of an exported graph predictor.

A signature reads its inputs, a text or ids, and computes an answer: all
graphs, one mixture of them, or the strongest edges.
"""

import functools

from glomo_keras.data.vocabulary import PAD_ID
from glomo_keras.data.vocabulary import UNKNOWN_ID
from glomo_keras.ops.mixture import mix_graphs
from glomo_keras.ops.mixture import num_terms
from glomo_keras.serving import core_tokenizer

DIRECTIONS = ("forward", "backward")
INPUTS = ("token_ids", "padding_mask")
OUTPUTS = tuple(f"{direction}_graphs" for direction in DIRECTIONS)
NO_EDGE = -1


def make_signatures(
    predictor, tokenizer, vocabulary_path, max_length, num_edges
):
    """A module to save, and its signatures; see `export_saved_model`.

    The module holds the variables and not the model: a Keras model that is
    reachable from it would have its weights written a second time.

    Args:
        predictor, tokenizer, max_length, num_edges: see `export_saved_model`.
        vocabulary_path: path of the file of the vocabulary, which becomes an
            asset; used with a tokenizer.

    Returns:
        `tf.Module`, and a dict from names to functions.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variables_ = [variable.value for variable in predictor.variables]
    read_ids = (_ids_specs(), functools.partial(_read_ids, max_length))
    graphs = _graph_function(predictor)
    edges = functools.partial(_edges, graphs, num_edges)
    mixture = functools.partial(_mixture, graphs)
    weights = tf.TensorSpec(
        (None, 2, num_weights(predictor)), tf.float32, name="weights"
    )
    signatures = {
        "from_ids": _signature(read_ids, ([], graphs)),
        "mixture_from_ids": _signature(read_ids, ([weights], mixture)),
        "edges_from_ids": _signature(read_ids, ([], edges)),
    }
    if tokenizer is None:
        return module, {**signatures, "serving_default": signatures["from_ids"]}
    module.vocabulary = _vocabulary_table(vocabulary_path)
    read_text = (
        [tf.TensorSpec((None,), tf.string, name="text")],
        functools.partial(_read_text, tokenizer, module.vocabulary, max_length),
    )
    signatures |= {
        "serving_default": _signature(read_text, ([], graphs)),
        "mixture": _signature(read_text, ([weights], mixture)),
        "edges": _signature(read_text, ([], edges)),
    }
    return module, signatures


def num_weights(predictor):
    """N, the weights that the signature `mixture` takes for a direction."""
    layers, heads = predictor.output[OUTPUTS[0]].shape[1:3]
    return num_terms(layers, heads, include_products=True)


def _signature(source, answer):
    """A function of the tensors of a source, then those of an answer.

    Args:
        source: pair of a list of `tf.TensorSpec` and a function of such
            tensors, which returns inputs of the predictor and a dict of
            tensors to give back with the answer.
        answer: pair of a list of `tf.TensorSpec` and a function of the inputs
            and such tensors, which returns a dict of tensors.
    """
    import tensorflow as tf

    (source_specs, read), (answer_specs, compute) = source, answer
    split = len(source_specs)

    @tf.function(input_signature=source_specs + answer_specs, autograph=False)
    def signature(*tensors):
        inputs, shown = read(*tensors[:split])
        return {**shown, **compute(*inputs, *tensors[split:])}

    return signature


def _ids_specs():
    import tensorflow as tf

    return [
        tf.TensorSpec((None, None), tf.int32, name="token_ids"),
        tf.TensorSpec((None, None), tf.bool, name="padding_mask"),
    ]


def _read_ids(max_length, token_ids, padding_mask):
    import tensorflow as tf

    shapes = tf.shape(token_ids), tf.shape(padding_mask)
    same = tf.debugging.Assert(
        tf.reduce_all(tf.equal(*shapes)),
        [
            tf.strings.format(
                "token_ids and padding_mask must have the same shape. "
                "Received: shapes {} and {}",
                shapes,
            )
        ],
    )
    limit = _refuse_longer(shapes[0][1], max_length)
    with tf.control_dependencies([same, *limit]):
        return (tf.identity(token_ids), tf.identity(padding_mask)), {}


def _read_text(tokenizer, table, max_length, text):
    import tensorflow as tf

    tokens, offsets = core_tokenizer.split(text)
    lengths = tf.cast(tokens.row_lengths(), tf.int32)  # (B,)
    units = tf.reduce_max(tf.concat([lengths, [1]], 0))
    with tf.control_dependencies(_refuse_longer(units, max_length)):
        words = tokenizer.normalize(tf.identity(tokens.flat_values))
    ids = tf.cast(table.lookup(words), tf.int32)
    pad = functools.partial(_padded, tokens.row_splits, units)
    shown = {
        "tokens": pad(words, ""),  # (B, T)
        "token_offsets": pad(offsets.flat_values, 0),  # (B, T, 2)
        "length": lengths,
    }
    mask = tf.sequence_mask(lengths, units)  # (B, T)
    return (pad(ids, PAD_ID), mask), shown


def _refuse_longer(units, max_length):
    """A list of the check that the longest input is within the limit."""
    import tensorflow as tf

    if max_length is None:
        return []
    message = tf.strings.format(
        f"This model takes at most {max_length} units. Shorten the input or "
        "split it. Received: {} units",
        units,
    )
    return [tf.debugging.Assert(units <= max_length, [message])]


def _padded(row_splits, units, values, padding):
    """Flat values of the tokens -> `(B, T, ...)`."""
    import tensorflow as tf

    inner = values.shape[1:].as_list()
    ragged = tf.RaggedTensor.from_row_splits(values, row_splits, validate=False)
    dense = ragged.to_tensor(padding, shape=tf.stack([-1, units, *inner]))
    return tf.ensure_shape(dense, [None, None, *inner])


def _vocabulary_table(path):
    """Tokens to ids: the numbers of their lines in the file."""
    import tensorflow as tf

    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(path),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        default_value=UNKNOWN_ID,
    )


def _graph_function(predictor):
    """The predictor in inference mode, saved once for all signatures."""
    import tensorflow as tf

    @tf.function(input_signature=_ids_specs(), autograph=False)
    def graphs(token_ids, padding_mask):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        outputs = predictor(inputs, training=False)
        return {
            name: tf.cast(outputs[name], tf.float32)  # (B, L, K, T, T)
            for name in OUTPUTS
        }

    return graphs


def _mixture(graphs, token_ids, padding_mask, weights):
    import tensorflow as tf

    shape = tf.shape(token_ids)
    rows = tf.stack([shape[0], shape[1], 1, weights.shape[-1]])
    mixed = {}
    answer = graphs(token_ids, padding_mask)
    for index, direction in enumerate(DIRECTIONS):
        mixture = mix_graphs(
            answer[OUTPUTS[index]],
            tf.broadcast_to(weights[:, index, None, None], rows),
            include_products=True,
            direction=direction,
            activation=None,  # used for graphs in factored form alone
        )
        mixed[f"{direction}_mixture"] = mixture[:, 0]  # (B, T, T)
    return mixed


def _edges(graphs, count, token_ids, padding_mask):
    import tensorflow as tf

    kept = tf.minimum(count, tf.shape(token_ids)[1])
    edges = {}
    answer = graphs(token_ids, padding_mask)
    for direction, name in zip(DIRECTIONS, OUTPUTS, strict=True):
        weights, sources = tf.math.top_k(answer[name], kept)
        sources = tf.where(weights > 0, sources, NO_EDGE)
        edges[f"{direction}_edge_weights"] = _widened(weights, count, 0)
        edges[f"{direction}_edge_sources"] = _widened(sources, count, NO_EDGE)
    return edges  # (B, L, K, T, count)


def _widened(values, width, padding):
    import tensorflow as tf

    missing = width - tf.shape(values)[-1]
    values = tf.pad(
        values, [[0, 0]] * 4 + [[0, missing]], constant_values=padding
    )
    return tf.ensure_shape(values, [*values.shape[:-1], width])
