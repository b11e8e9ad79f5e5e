"""Splits texts into words and punctuation, in core TensorFlow operations.

TensorFlow Text is not needed, so a server runs the same operations.
"""

# Character classes (RE2). U+200C and U+200D join letters into one word in
# some scripts, and emoji into one symbol; the other invisible format
# characters count as white space.
_WORD = r"\p{L}\p{M}\p{N}\x{200C}\x{200D}"
_SPACE = (
    r"\s\p{Z}\p{Cc}\x{AD}\x{200B}\x{200E}\x{200F}"
    r"\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}"
)
KEPT_DELIMITER_PATTERN = (
    r"(?i:n['’]t\b)"
    r"|(?i:['’](?:s|re|ve|ll|d|m)\b)"
    r"|[0-9]+(?:[.,][0-9]+)+"
    rf"|[^{_WORD}{_SPACE}][\p{{M}}\x{{200D}}]*"
)
"""What ends a word and is itself a token: `n't`, `'s` and the like, numbers
with inner dots or commas, and any single symbol with its marks."""

_LONGER_THAN_CONTRACTION = rf"(['’])((?i:s|re|ve|ll|d|m|t)[{_WORD}])"
"""What only begins like a contraction. `\\b` does not tell: to RE2 a letter
outside ASCII is no part of a word (`Ankara'dır`)."""

BLANK = " "
MARK = "\x01"  # not in a text whose control characters have become blanks


def split_words(texts):
    """Splits texts as the Penn Treebank does, changing nothing else.

    Args:
        texts: `(B,)` string tensor, any bytes.

    Returns:
        `tokens`, ragged string `(B, None)`, and `offsets`, ragged int32
        `(B, None, 2)`: start and end in Unicode code points of
        `bytes.decode("utf-8", "replace")`.
    """
    import tensorflow as tf

    texts = tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace"
    )
    # One blank for each white-space character, so that offsets stay.
    texts = tf.strings.regex_replace(texts, f"[{_SPACE}]", BLANK)
    marked = _mark_delimiters(texts)
    tokens = tf.strings.split(tf.strings.regex_replace(marked, MARK, BLANK))
    return tokens, _code_point_offsets(marked, tokens)


def _mark_delimiters(texts):
    """Puts marks around each delimiter that is a token, and a blank at the end.

    The blank separates the last token of a text from the next text.
    """
    import tensorflow as tf

    texts = tf.strings.regex_replace(
        texts, _LONGER_THAN_CONTRACTION, rf"\1{MARK}\2"
    )
    marked = tf.strings.regex_replace(
        texts, f"({KEPT_DELIMITER_PATTERN})", rf"{MARK}\1{MARK}"
    )
    return tf.strings.join([marked, BLANK])


def _code_point_offsets(marked, tokens):
    """Returns start and end of each token, in code points without marks."""
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
