"""The signatures of an exported graph predictor.

A signature reads its inputs, a text or ids, and computes an answer: all
graphs, one mixture of them, or the strongest edges.
"""

import functools

from glomo_keras.ops.mixture import num_terms
from glomo_keras.serving import answers
from glomo_keras.serving import inputs


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
    read_ids = (
        inputs.ids_specs(),
        functools.partial(inputs.read_ids, max_length),
    )
    graphs = answers.graph_function(predictor)
    edges = functools.partial(answers.edges, graphs, num_edges)
    mixture = functools.partial(answers.mixture, graphs)
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
    module.vocabulary = inputs.vocabulary_table(vocabulary_path)
    read_text = (
        [tf.TensorSpec((None,), tf.string, name="text")],
        functools.partial(
            inputs.read_text, tokenizer, module.vocabulary, max_length
        ),
    )
    signatures |= {
        "serving_default": _signature(read_text, ([], graphs)),
        "mixture": _signature(read_text, ([weights], mixture)),
        "edges": _signature(read_text, ([], edges)),
    }
    return module, signatures


def num_weights(predictor):
    """N, the weights that the signature `mixture` takes for a direction."""
    layers, heads = predictor.output[answers.OUTPUTS[0]].shape[1:3]
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
        ids_and_mask, shown = read(*tensors[:split])
        return {**shown, **compute(*ids_and_mask, *tensors[split:])}

    return signature
