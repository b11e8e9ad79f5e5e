"""Reads the texts of a request as `WordTokenizer` reads those of a training."""

import functools

from glomo_keras.data.text.vocabulary import PAD_ID
from glomo_keras.data.text.vocabulary import UNKNOWN_ID
from glomo_keras.data.text.word_splitting import split_words
from glomo_keras.serving import limits


def read_text(inputs, tokenizer, table, max_length, max_characters):
    """Makes the ids of texts, those of `WordTokenizer.__call__`.

    Args:
        inputs: Dict of `text`, a `(B,)` string tensor.
        tokenizer: `WordTokenizer`; only its options are used.
        table: Lookup table of the vocabulary, see `vocabulary_table`.
        max_length: The most tokens, or None.
        max_characters: The most characters, or None.

    Returns:
        List of `token_ids` and `padding_mask` `(B, T)`, and a dict of the
        tokens, their offsets and the lengths.
    """
    import tensorflow as tf

    text = inputs["text"]
    checks = [
        *limits.check_not_empty("text", tf.shape(text)),
        *limits.check_characters(text, max_characters),
    ]
    with tf.control_dependencies(checks):
        tokens, offsets = split_words(tf.identity(text))
    lengths = tf.cast(tokens.row_lengths(), tf.int32)  # (B,)
    longest = tf.reduce_max(tf.concat([lengths, [1]], 0))
    with tf.control_dependencies(limits.check_length(longest, max_length)):
        words = tokenizer.normalize(tf.identity(tokens.flat_values))
    ids = tf.cast(table.lookup(words), tf.int32)
    pad = functools.partial(_padded, tokens.row_splits, longest)
    shown = {
        "tokens": pad(words, ""),  # (B, T)
        "token_offsets": pad(offsets.flat_values, 0),  # (B, T, 2)
        "length": lengths,
    }
    return [pad(ids, PAD_ID), tf.sequence_mask(lengths, longest)], shown


def _padded(row_splits, length, values, padding):
    """Makes `(B, T, ...)` of the flat values of the tokens."""
    import tensorflow as tf

    inner = values.shape[1:].as_list()
    ragged = tf.RaggedTensor.from_row_splits(values, row_splits, validate=False)
    dense = ragged.to_tensor(padding, shape=tf.stack([-1, length, *inner]))
    return tf.ensure_shape(dense, [None, None, *inner])


def vocabulary_table(path):
    """Returns the table from tokens to the numbers of their lines in a file."""
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
