"""How the signatures of an export read ids and texts."""

import functools

from glomo_keras.data.vocabulary import PAD_ID
from glomo_keras.data.vocabulary import UNKNOWN_ID
from glomo_keras.serving import core_tokenizer

INPUTS = ("token_ids", "padding_mask")


def ids_specs():
    """The specs of token ids and their mask, `(B, T)`."""
    import tensorflow as tf

    return [
        tf.TensorSpec((None, None), tf.int32, name="token_ids"),
        tf.TensorSpec((None, None), tf.bool, name="padding_mask"),
    ]


def read_ids(max_length, token_ids, padding_mask):
    """Ids as they are, checked.

    Returns:
        The pair of inputs, and an empty dict.
    """
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


def read_text(tokenizer, table, max_length, text):
    """The ids of texts, as `WordTokenizer.__call__` gives them.

    Args:
        tokenizer: `WordTokenizer`; only its options are used.
        table: lookup table of the vocabulary, see `vocabulary_table`.
        max_length: int or None.
        text: `(B,)` string tensor.

    Returns:
        The pair of `token_ids` and `padding_mask` `(B, T)`, and a dict of
        what the client gets to see of the text.
    """
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
