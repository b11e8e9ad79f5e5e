"""The signatures of an exported graph predictor.

A signature reads its inputs, a text, ids or images, and computes an answer:
all graphs, one mixture of them, or the strongest edges.
"""

import functools

from glomo_keras.ops.equations import num_terms
from glomo_keras.serving import answers
from glomo_keras.serving import inputs

NAMES = ("serving_default", "mixture", "edges")
NAMES_FROM_IDS = ("from_ids", "mixture_from_ids", "edges_from_ids")


def make_signatures(
    predictor,
    tokenizer,
    vocabulary_path,
    max_length,
    max_characters,
    num_edges,
):
    """A module to save, and its signatures; see `export_saved_model`.

    The module holds the variables and not the model: a Keras model that is
    reachable from it would have its weights written a second time.

    Args:
        vocabulary_path: path of the file of the vocabulary, which becomes an
            asset; used with a tokenizer.
        predictor, tokenizer, max_length, max_characters, num_edges: see
            `export_saved_model`.

    Returns:
        `tf.Module`, and a dict from names to functions.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variables_ = [variable.value for variable in predictor.variables]
    wanted = _answers(predictor, num_edges)
    takes_text = inputs.input_names(predictor) == inputs.TEXT_INPUTS
    read = inputs.read_ids if takes_text else inputs.read_images
    signatures = _all_signatures(
        NAMES_FROM_IDS if takes_text else NAMES,
        inputs.input_specs(predictor),
        functools.partial(read, max_length),
        wanted,
    )
    if tokenizer is not None:
        module.vocabulary = inputs.vocabulary_table(vocabulary_path)
        signatures |= _all_signatures(
            NAMES,
            [tf.TensorSpec((None,), tf.string, name="text")],
            functools.partial(
                inputs.read_text,
                tokenizer,
                module.vocabulary,
                max_length,
                max_characters,
            ),
            wanted,
        )
    signatures.setdefault("serving_default", signatures.get("from_ids"))
    return module, signatures


def weights_shape(predictor):
    """`(R, N)`: directions, and the weights a mixture takes for each."""
    directions = answers.directions_of(predictor)
    layers, heads = predictor.output[f"{directions[0]}_graphs"].shape[1:3]
    return len(directions), num_terms(layers, heads, include_products=True)


def _answers(predictor, num_edges):
    """For each of `NAMES`: specs of more inputs, and what is computed."""
    import tensorflow as tf

    graphs = answers.graph_function(predictor)
    directions = answers.directions_of(predictor)
    weights = tf.TensorSpec(
        (None, *weights_shape(predictor)), tf.float32, name="weights"
    )
    return (
        ([], graphs),
        ([weights], functools.partial(answers.mixture, graphs, directions)),
        ([], functools.partial(answers.edges, graphs, num_edges)),
    )


def _all_signatures(names, specs, read, wanted):
    """Dict from names to the signatures that read the same inputs."""
    return {
        name: _signature((specs, read), answer)
        for name, answer in zip(names, wanted, strict=True)
    }


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
        given, shown = read(*tensors[:split])
        return {**shown, **compute(*given, *tensors[split:])}

    return signature
