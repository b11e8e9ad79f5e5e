"""The training tokenisation in core TensorFlow operations.

`WordTokenizer` runs on TensorFlow Text, whose operations a server may lack.
These functions give the same tokens and offsets without them.
"""

from glomo_keras.data.text.word_tokenizer import KEPT_DELIMITER_PATTERN
from glomo_keras.data.text.word_tokenizer import SPACE_PATTERN

BLANK = " "
# A control character: `SPACE_PATTERN` has made blanks of those of the text.
MARK = "\x01"


def split(texts):
    """Splits texts as `WordTokenizer.tokenize` does, without normalising.

    Args:
        texts: `(B,)` string tensor, any bytes.

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
