"""How the signatures of an export read ids, texts and images."""

import functools

from glomo_keras.data.text.vocabulary import PAD_ID
from glomo_keras.data.text.vocabulary import UNKNOWN_ID
from glomo_keras.serving import core_tokenizer
from glomo_keras.serving import limits

TEXT_INPUTS = ("token_ids", "padding_mask")
IMAGE_INPUTS = ("images",)


def input_names(predictor):
    """Names of the inputs of a predictor, in the order they are given."""
    takes_text = TEXT_INPUTS[0] in predictor.input
    return TEXT_INPUTS if takes_text else IMAGE_INPUTS


def input_specs(predictor):
    """The specs of the inputs: ids and mask `(B, T)`, images `(B, H, W, C)`."""
    import tensorflow as tf

    return [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name in input_names(predictor)
        for tensor in [predictor.input[name]]
    ]


def read_ids(max_length, token_ids, padding_mask):
    """Ids as they are, checked.

    Returns:
        The pair of inputs, and an empty dict.
    """
    import tensorflow as tf

    shapes = tf.shape(token_ids), tf.shape(padding_mask)
    checks = [
        *limits.refuse_other_shape(*shapes),
        *limits.refuse_empty("token_ids", shapes[0]),
        *limits.refuse_longer(shapes[0][1], max_length),
    ]
    with tf.control_dependencies(checks):
        return (tf.identity(token_ids), tf.identity(padding_mask)), {}


def read_images(max_length, images):
    """Images as they are, checked; each pixel is a unit.

    Returns:
        The images in a tuple, and an empty dict.
    """
    import tensorflow as tf

    shape = tf.shape(images)
    checks = [
        *limits.refuse_empty("images", shape),
        *limits.refuse_longer(shape[1] * shape[2], max_length),
    ]
    with tf.control_dependencies(checks):
        return (tf.identity(images),), {}


def read_text(tokenizer, table, max_length, max_characters, text):
    """The ids of texts, as `WordTokenizer.__call__` gives them.

    Args:
        tokenizer: `WordTokenizer`; only its options are used.
        table: lookup table of the vocabulary, see `vocabulary_table`.
        max_length: int or None, the most tokens.
        max_characters: int or None.
        text: `(B,)` string tensor.

    Returns:
        The pair of `token_ids` and `padding_mask` `(B, T)`, and a dict of
        what the client gets to see of the text.
    """
    import tensorflow as tf

    checks = [
        *limits.refuse_empty("text", tf.shape(text)),
        *limits.refuse_longer_text(text, max_characters),
    ]
    with tf.control_dependencies(checks):
        tokens, offsets = core_tokenizer.split(tf.identity(text))
    lengths = tf.cast(tokens.row_lengths(), tf.int32)  # (B,)
    units = tf.reduce_max(tf.concat([lengths, [1]], 0))
    with tf.control_dependencies(limits.refuse_longer(units, max_length)):
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


def _padded(row_splits, units, values, padding):
    """Flat values of the tokens -> `(B, T, ...)`."""
    import tensorflow as tf

    inner = values.shape[1:].as_list()
    ragged = tf.RaggedTensor.from_row_splits(values, row_splits, validate=False)
    dense = ragged.to_tensor(padding, shape=tf.stack([-1, units, *inner]))
    return tf.ensure_shape(dense, [None, None, *inner])


def vocabulary_table(path):
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
