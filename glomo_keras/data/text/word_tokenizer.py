"""Splits texts in words and punctuation, with character offsets."""

import functools
import json
import os

from glomo_keras import bundled_presets
from glomo_keras.data.text import vocabulary as vocabulary_lib

# Character classes (RE2). U+200C and U+200D join letters into one word in
# some scripts, and emoji into one sign; the other invisible format characters
# count as white space.
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
"""RE2 pattern of what ends a word and is itself a token: `n't`, `'s` and the
like, numbers with inner dots or commas, and any single sign with its marks."""

SPACE_PATTERN = rf"[{_SPACE}]+"
"""RE2 pattern of what ends a word and is dropped."""

DELIMITER_PATTERN = rf"{KEPT_DELIMITER_PATTERN}|{SPACE_PATTERN}"
"""RE2 pattern of everything that ends a word. Pure core TensorFlow gives the
same tokens: put blanks round the matches of `KEPT_DELIMITER_PATTERN`
(`tf.strings.regex_replace`), make `SPACE_PATTERN` one blank, then split."""

DIGIT_PATTERN = r"(?s).*\p{Nd}.*"
"""RE2 pattern that matches a whole token when it holds a digit."""

NUMBER_TOKEN = "N"


class WordTokenizer:
    """Splits texts in words and punctuation, as the Penn Treebank does.

    A token is a run of letters, combining marks and digits; any other visible
    sign is a token of its own. Contractions are cut (`don't` gives `do`,
    `n't`; `it's` gives `it`, `'s`) and a number keeps its inner dots and
    commas (`1,000.5`). Offsets count Unicode code points of the original
    text, as Python's `str` does: `text[start:end]` is the token before
    lower-casing. Bytes that are no UTF-8 read as in
    `bytes.decode("utf-8", "replace")`, and offsets count in that string.

    Everything runs on TensorFlow Text operations, so it can stand in a
    `tf.function` or in `tf.data`.

    Args:
        vocabulary: sequence of str or None. Entry 0 is `"<pad>"`, entry 1 is
            `"<unk>"`. Without one only `tokenize` works.
        lowercase: bool. Lower-case the token strings (never the offsets).
        numbers: `"keep"`, or `"N"`: every token that holds a digit becomes
            `"N"`.

    Raises:
        ValueError: if `numbers` is none of the two, or the vocabulary lacks a
            special token or repeats one.

    Example:

    >>> tokenizer = WordTokenizer()
    >>> output = tokenizer.tokenize(["It isn't."])
    >>> output["tokens"].to_list()
    [[b'it', b'is', b"n't", b'.']]
    >>> output["token_offsets"].to_list()
    [[[0, 2], [3, 5], [5, 8], [8, 9]]]
    """

    def __init__(self, vocabulary=None, lowercase=True, numbers="keep"):
        if numbers not in ("keep", "N"):
            raise ValueError(
                f"`numbers` is 'keep' or 'N'. Received: numbers={numbers!r}"
            )
        self.lowercase = bool(lowercase)
        self.numbers = numbers
        self.vocabulary = None
        self._table = None
        if vocabulary is not None:
            self.vocabulary = vocabulary_lib.check_vocabulary(vocabulary)
            self._table = _lookup_table(self.vocabulary)

    def tokenize(self, texts):
        """Split texts in tokens.

        Args:
            texts: (B,) strings (a list, an array or a tensor), or one string,
                which counts as B = 1.

        Returns:
            Dict of `tokens`, ragged string (B, None), and `token_offsets`,
            ragged int32 (B, None, 2): start and end in code points.
        """
        return self._tokenize(_as_batch(texts))

    def _tokenize(self, texts):
        import tensorflow as tf

        tokens, starts, ends = self.split(texts)
        words = self.normalize(tokens.flat_values)
        offsets = _code_point_offsets(texts, starts, ends)
        return {
            "tokens": tokens.with_flat_values(words),
            "token_offsets": tf.RaggedTensor.from_row_splits(
                offsets, tokens.row_splits, validate=False
            ),
        }

    def split(self, texts):
        """Split valid UTF-8 texts, without any change to the tokens.

        Args:
            texts: (B,) string tensor.

        Returns:
            Three ragged tensors (B, None): tokens (string), the **byte** where
            each starts and the byte after its end (int64).
        """
        import tensorflow as tf
        import tensorflow_text as tf_text

        # TensorFlow Text takes a zero byte for the end of the string.
        texts = tf.strings.regex_replace(texts, r"\x00", " ")
        return tf_text.regex_split_with_offsets(
            texts, DELIMITER_PATTERN, KEPT_DELIMITER_PATTERN
        )

    def normalize(self, tokens):
        """Lower-case tokens and replace numbers, as the options say.

        Args:
            tokens: string tensor of any shape, as `split` gives them.

        Returns:
            String tensor of the same shape.
        """
        import tensorflow as tf

        if self.lowercase:
            lowered = tf.strings.lower(tokens, encoding="utf-8")
        else:
            lowered = tokens
        if self.numbers == "keep":
            return lowered
        has_digit = tf.strings.regex_full_match(tokens, DIGIT_PATTERN)
        return tf.where(has_digit, NUMBER_TOKEN, lowered)

    def __call__(self, texts, max_length=None):
        """Turn texts into padded arrays of ids.

        Args:
            texts: (B,) strings, or one string, which counts as B = 1.
            max_length: int or None. Longer texts lose their end. T is the
                longest remaining text, and at least 1.

        Returns:
            Dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T),
            `tokens` string (B, T) padded with `""`, and `token_offsets` int32
            (B, T, 2) padded with 0.

        Raises:
            ValueError: without a vocabulary, or a negative `max_length`.
        """
        if max_length is not None and max_length < 0:
            raise ValueError(
                "`max_length` is not negative. "
                f"Received: max_length={max_length}"
            )
        if self._table is None:
            raise ValueError(
                "Token ids need a vocabulary: WordTokenizer(vocabulary). "
                "Received: vocabulary=None"
            )
        return self._compiled_ids(_as_batch(texts), max_length)

    @functools.cached_property
    def _compiled_ids(self):
        """`_ids` as one graph: eagerly it takes ten times as long."""
        import tensorflow as tf

        return tf.function(self._ids, reduce_retracing=True)

    def _ids(self, texts, max_length):
        import tensorflow as tf

        output = self._tokenize(texts)
        tokens = output["tokens"][:, :max_length]
        offsets = output["token_offsets"][:, :max_length]
        ids = tokens.with_flat_values(self._table.lookup(tokens.flat_values))
        mask = tokens.with_flat_values(
            tf.ones_like(tokens.flat_values, dtype="bool")
        )
        return {
            "token_ids": _dense(ids, 0),  # (B, T)
            "padding_mask": _dense(mask, False),  # (B, T)
            "tokens": _dense(tokens, ""),  # (B, T)
            "token_offsets": _dense(offsets, 0),  # (B, T, 2)
        }

    def get_config(self):
        """Return the options, without the vocabulary."""
        return {"lowercase": self.lowercase, "numbers": self.numbers}

    @classmethod
    def from_preset(cls, folder):
        """Read `vocabulary.txt` and the `"tokenizer"` entry of
        `metadata.json` in a preset folder.

        Args:
            folder: path, or name of a preset that comes with the package.

        Returns:
            A `WordTokenizer`.

        Raises:
            FileNotFoundError: if one of the files is missing.
            ValueError: if there is no such preset, it is one of images, or
                `metadata.json` has no `"tokenizer"` entry.
        """
        folder = bundled_presets.find(folder)
        path = vocabulary_lib.vocabulary_path(folder)
        if (folder / "metadata.json").exists() and not os.path.exists(path):
            raise ValueError(
                "A tokenizer needs a preset of texts; this one has no "
                f"vocabulary. Received: {folder}"
            )
        words = vocabulary_lib.read_vocabulary(path)
        path = os.path.join(folder, "metadata.json")
        with open(path, encoding="utf-8") as file:
            metadata = json.load(file)
        if "tokenizer" not in metadata:
            raise ValueError(
                f"{path} has no entry 'tokenizer'. "
                f"Received: entries {sorted(metadata)}"
            )
        return cls(vocabulary=words, **metadata["tokenizer"])


def _as_batch(texts):
    import tensorflow as tf

    texts = tf.convert_to_tensor(texts, dtype=tf.string)
    if texts.shape.rank == 0:
        texts = texts[None]
    if texts.shape.rank != 1:
        raise ValueError(
            f"`texts` has shape (B,). Received: shape={texts.shape}"
        )
    return tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace"
    )


def _code_point_offsets(texts, starts, ends):
    """Turn byte offsets within texts into code points, int32 (N, 2)."""
    import tensorflow as tf

    data = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
    starts_one = tf.bitwise.bitwise_and(data, 0xC0) != 0x80
    before = tf.concat(
        [[0], tf.cumsum(tf.cast(starts_one, tf.int32))], axis=0
    )  # (bytes + 1,), the code points that start before a byte
    lengths = tf.cast(tf.strings.length(texts), tf.int64)
    first_byte = tf.cumsum(lengths, exclusive=True)  # (B,)
    base = tf.gather(first_byte, starts.value_rowids())  # (N,)
    places = tf.stack([starts.flat_values, ends.flat_values], axis=1)
    inside = tf.gather(before, base[:, None] + places)  # (N, 2)
    return inside - tf.gather(before, base)[:, None]


def _lookup_table(vocabulary):
    import tensorflow as tf

    with tf.init_scope():
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(vocabulary),
                tf.range(len(vocabulary), dtype=tf.int32),
            ),
            default_value=vocabulary_lib.UNKNOWN_ID,
        )


def _dense(ragged, padding):
    """Pad a ragged tensor to its longest row, or to one column if empty."""
    import tensorflow as tf

    dense = ragged.to_tensor(padding)
    missing = tf.maximum(1 - tf.shape(dense)[1], 0)
    edges = [[0, 0], [0, missing]] + [[0, 0]] * (dense.shape.rank - 2)
    return tf.pad(dense, edges, constant_values=padding)
