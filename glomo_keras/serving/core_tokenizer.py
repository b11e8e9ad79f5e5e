"""The tokenizer of training in core TensorFlow operations.

`WordTokenizer` runs on TensorFlow Text, whose operations a server may lack.
These functions give the same tokens, offsets and ids without them.
"""

import functools

from glomo_keras.data.text.vocabulary import PAD_ID
from glomo_keras.data.text.vocabulary import UNKNOWN_ID
from glomo_keras.data.text.word_tokenizer import KEPT_DELIMITER_PATTERN
from glomo_keras.data.text.word_tokenizer import SPACE_PATTERN
from glomo_keras.serving import limits

BLANK = " "
# A control character: `SPACE_PATTERN` has made blanks of those of the text.
MARK = "\x01"


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
        tokens, offsets = split(tf.identity(text))
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


def split(texts):
    """Splits texts as `WordTokenizer.tokenize` does, without normalising.

    Args:
        texts: `(B,)` string tensor of any bytes.

    Returns:
        `tokens`, ragged string `(B, None)`, and `token_offsets`, ragged int32
        `(B, None, 2)`: start and end in Unicode code points of
        `bytes.decode("utf-8", "replace")`.
    """
    import tensorflow as tf

    texts = tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace"
    )
    marked = _mark_kept_delimiters(_blanks_for_spaces(texts))
    tokens = tf.strings.split(tf.strings.regex_replace(marked, MARK, BLANK))
    return tokens, _code_point_offsets(marked, tokens)


def _blanks_for_spaces(texts):
    """One blank for each sign of white space, so that offsets stay."""
    import tensorflow as tf

    one_sign = f"{SPACE_PATTERN}?"  # the lazy form of `[...]+`
    return tf.strings.regex_replace(texts, one_sign, BLANK)


def _mark_kept_delimiters(texts):
    """Marks on both sides of a delimiter that is a token, a blank at the end.

    The blank keeps the last token of a text apart from the next text.
    """
    import tensorflow as tf

    kept = rf"({KEPT_DELIMITER_PATTERN})"
    marked = tf.strings.regex_replace(texts, kept, rf"{MARK}\1{MARK}")
    return tf.strings.join([marked, BLANK])


def _code_point_offsets(marked, tokens):
    """Start and end of each token, in code points without the marks."""
    import tensorflow as tf

    signs = tf.strings.unicode_decode(marked, "UTF-8")
    flat = signs.flat_values  # (code points of all texts,)
    is_mark = flat == ord(MARK)
    inside = ~(is_mark | (flat == ord(BLANK)))
    after = tf.concat([[False], inside[:-1]], 0)
    before = tf.cumsum(tf.cast(~is_mark, tf.int32), exclusive=True)
    places = [
        tf.boolean_mask(before, edge)
        for edge in (inside & ~after, after & ~inside)
    ]
    first = tf.gather(before, signs.row_starts())  # (B,)
    base = tf.gather(first, tokens.value_rowids())  # (N,)
    offsets = tf.stack(places, 1) - base[:, None]  # (N, 2)
    return tokens.with_flat_values(offsets)
