"""Does the work of `WordTokenizer` in pure Python, without TensorFlow.

Tokens, ids and offsets are those of the operations in `word_splitting`.
Characters that only one of the two Unicode tables knows, Python's or
TensorFlow's, may be cut otherwise.
"""

import functools
import re
import sys
import unicodedata

import numpy as np

from glomo_keras.data.text.vocabulary import UNKNOWN_ID

WORD_CATEGORIES = ("L", "M", "N")
SPACE_CATEGORIES = ("Z", "Cc")
JOINERS = "\u200c\u200d"
OTHER_SPACES = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
MARK = "\x01"


class PythonTokenizer:
    """Tokenizes lists of texts into NumPy arrays.

    Args:
        vocabulary: List of str, or None.
        lowercase, numbers: See `WordTokenizer`.
        forms: Dict of Unicode forms to words of the vocabulary; None to leave
            words as they are typed.
    """

    def __init__(self, vocabulary, lowercase, numbers, forms):
        self.lowercase = lowercase
        self.numbers = numbers
        self.forms = forms
        self.ids = {word: i for i, word in enumerate(vocabulary or [])}

    def tokenize(self, texts):
        """Returns lists of `tokens` and `token_offsets`, one for each text."""
        rows = [split_words(text) for text in _as_list(texts)]
        return {
            "tokens": [[self._word(token) for token, *_ in r] for r in rows],
            "token_offsets": [[list(place) for _, *place in r] for r in rows],
        }

    def normalize(self, tokens):
        """Returns an object array of str, of the shape of the tokens."""
        tokens = np.asarray(tokens, object)
        words = [self._word(_as_text(token)) for token in tokens.flat]
        return _objects(words).reshape(tokens.shape)

    def padded(self, texts, max_length):
        """Returns the arrays of `WordTokenizer.__call__`, `tokens` as str."""
        rows = self.tokenize(texts)
        tokens = [row[:max_length] for row in rows["tokens"]]
        shape = (len(tokens), max([1, *map(len, tokens)]))
        ids, words = np.zeros(shape, "int32"), np.full(shape, "", object)
        offsets = np.zeros((*shape, 2), "int32")
        mask = np.zeros(shape, bool)
        for index, row in enumerate(tokens):
            places = slice(len(row))
            if row:
                ids[index, places] = [
                    self.ids.get(word, UNKNOWN_ID) for word in row
                ]
                words[index, places] = row
                offsets[index, places] = rows["token_offsets"][index][places]
                mask[index, places] = True
        return {
            "token_ids": ids,
            "padding_mask": mask,
            "tokens": words,
            "token_offsets": offsets,
        }

    def _word(self, token):
        if self.numbers == "N" and any(map(str.isdecimal, token)):
            return "N"
        word = token.lower() if self.lowercase else token
        if self.forms is not None:
            word = word.replace("‘", "'").replace("’", "'")
            word = self.forms.get(word, word)
        return word


def _as_list(texts):
    texts = np.asarray(texts, object)
    if texts.ndim == 0:
        texts = texts[None]
    if texts.ndim != 1:
        raise ValueError(
            f"`texts` has shape (B,). Received: shape={texts.shape}"
        )
    return [_as_text(text) for text in texts]


def _as_text(text):
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise TypeError(
            "A text must be str or bytes. "
            f"Received: {text!r} of type {type(text).__name__}"
        )
    text.encode("utf-8")  # refuses half a surrogate pair, as TensorFlow does
    return str(text)


def _objects(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def split_words(text):
    """Splits a text as the Penn Treebank does, changing nothing else.

    Args:
        text: String.

    Returns:
        List of `(token, start, end)`, in code points of the text.
    """
    patterns = _patterns()
    text = patterns["space"].sub(" ", text)
    marked = patterns["longer"].sub(rf"\1{MARK}\2", text)
    marked = patterns["kept"].sub(rf"{MARK}\g<0>{MARK}", marked)
    tokens, marks = [], 0
    for found in re.finditer(rf"{MARK}|[^ {MARK}]+", marked):
        if found[0] == MARK:
            marks += 1
        else:
            start = found.start() - marks
            tokens.append((found[0], start, start + len(found[0])))
    return tokens


@functools.cache
def _patterns():
    word = _ranges(WORD_CATEGORIES) + JOINERS
    space = _ranges(SPACE_CATEGORIES) + OTHER_SPACES
    # RE2's `\b` knows ASCII alone.
    end = r"(?a:\b)"
    return {
        "space": re.compile(f"[{space}]"),
        "longer": re.compile(rf"(['’])((?i:s|re|ve|ll|d|m|t)[{word}])"),
        "kept": re.compile(
            rf"(?i:n['’]t{end})"
            rf"|(?i:['’](?:s|re|ve|ll|d|m){end})"
            r"|[0-9]+(?:[.,][0-9]+)+"
            rf"|[^{word}{space}][{_ranges(('M',))}\u200d]*"
        ),
    }


@functools.cache
def _ranges(categories):
    """Returns the characters of some Unicode categories, as in a `[...]`."""
    ranges, start = [], None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(
            chr(code)
        ).startswith(categories)
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            ranges.append(f"{_escape(start)}-{_escape(code - 1)}")
            start = None
    return "".join(ranges)


def _escape(code):
    return f"\\U{code:08x}"
