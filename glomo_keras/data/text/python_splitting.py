"""Splits texts as `word_splitting` does, without TensorFlow."""

import functools
import re
import sys
import unicodedata

from glomo_keras.data.text import unicode_forms

MARK = "\x01"  # not in a text whose control characters have become blanks
# RE2's `\b`, to which only ASCII letters, digits and "_" are part of a word. It
# stands outside of `(?i:...)`, where Python takes "ſ" for an "s".
_BOUNDARY = (
    r"(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))"
)
_SPACES = "\t\n\f\r \u00ad\u200b\u200e\u200f\ufeff\u202a-\u202e\u2060-\u206f"


@functools.cache
def _patterns():
    """Returns the patterns of white space, of what only begins like a
    contraction, and of delimiters that are tokens; as in `word_splitting`.
    """
    word = _ranges("L", "M", "N") + "\u200c\u200d"
    space = _ranges("Z", "Cc") + _SPACES
    return (
        re.compile(f"[{space}]"),
        re.compile(rf"(['’])((?i:s|re|ve|ll|d|m|t)[{word}])"),
        re.compile(
            rf"((?i:n['’]t){_BOUNDARY}"
            rf"|(?i:['’](?:s|re|ve|ll|d|m)){_BOUNDARY}"
            r"|[0-9]+(?:[.,][0-9]+)+"
            rf"|[^{word}{space}][{_ranges('M')}\u200d]*)"
        ),
    )


@functools.cache
def _ranges(*categories):
    """Returns the characters of Unicode categories, for a character class."""
    ranges = []
    for code in range(sys.maxunicode + 1):
        if not unicodedata.category(chr(code)).startswith(categories):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in ranges)


def split_words(text):
    """Splits one text.

    Args:
        text: str or UTF-8 bytes.

    Returns:
        List of tokens, and list of their `(start, end)` in code points.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    space, longer, delimiter = _patterns()
    text = longer.sub(rf"\1{MARK}\2", space.sub(" ", text))
    text = delimiter.sub(rf"{MARK}\1{MARK}", text)
    tokens, offsets, marks = [], [], 0
    for part in re.finditer(rf"{MARK}|[^{MARK} ]+", text):
        if part.group() == MARK:
            marks += 1
        else:
            tokens.append(part.group())
            offsets.append((part.start() - marks, part.end() - marks))
    return tokens, offsets


def normalize(token, lowercase, numbers, forms):
    """Changes a token into a word of the vocabulary.

    Args:
        token: str, as `split_words` gives it.
        lowercase: bool, see `WordTokenizer`.
        numbers: str, see `WordTokenizer`.
        forms: Dict of other forms of a word to the word, or None to leave
            the Unicode form as it is.

    Returns:
        str.
    """
    if numbers == "N" and any(map(str.isdecimal, token)):
        return "N"
    word = token.lower() if lowercase else token
    if forms is None:
        return word
    word = unicode_forms.straight_quotes(word)
    return forms.get(word, word)
