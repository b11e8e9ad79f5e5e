"""Splits texts into words and punctuation, with character offsets."""

import functools

from glomo_keras import bundled_presets
from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.python_tokenizer import PythonTokenizer
from glomo_keras.data.text.unicode_forms import other_forms
from glomo_keras.data.text.unicode_forms import replace_tokens
from glomo_keras.data.text.word_splitting import split_words
from glomo_keras.utils import files
from glomo_keras.utils.validation import check_option

DIGIT_PATTERN = r"(?s).*\p{Nd}.*"
"""RE2 pattern that matches a whole token when it holds a digit."""

NUMBER_TOKEN = "N"
APOSTROPHES = "[‘’]"

LOCALE_LETTERS = {"İ": "i\u0307", "Ì": "ì", "Í": "í", "Ĩ": "ĩ", "Į": "į"}
"""Letters besides I and J whose lower case depends on the language."""


class WordTokenizer:
    """Splits texts into words and punctuation, as the Penn Treebank does.

    A token is a run of letters, combining marks and digits; any other visible
    character is a token of its own. Contractions are cut (`don't` gives `do`,
    `n't`; `it's` gives `it`, `'s`) and a number keeps its inner dots and
    commas (`1,000.5`). A script written without spaces is not cut into words:
    `日本語のテキスト` is one token. Offsets count Unicode code points of the
    original text, as Python's `str` does: `text[start:end]` is the token
    before lower-casing. Bytes that are not UTF-8 read as in
    `bytes.decode("utf-8", "replace")`, and offsets count in that string.

    Everything runs on core TensorFlow operations, so it can stand in a
    `tf.function`, in `tf.data` and in a SavedModel. Where TensorFlow is not
    installed it runs in pure Python: arrays are NumPy's, `tokens` are str,
    and `tokenize` gives lists.

    Args:
        vocabulary: Sequence of str, or None. Entry 0 is `"<pad>"`, entry 1 is
            `"<unk>"`. Without one only `tokenize` works. Defaults to None.
        lowercase: Whether to lower-case the token strings. Defaults to True.
        numbers: `"keep"`, or `"N"`: every token that holds a digit becomes
            `"N"`. Defaults to `"keep"`.
        normalize_unicode: Whether a word gets the same id however it is
            typed: with a straight or a curly apostrophe, with composed (NFC)
            or combining characters (NFD). The offsets stay those of the text.
            Defaults to False, which is what presets without this option were
            trained with.

    Raises:
        ValueError: If `numbers` is none of the two, or the vocabulary lacks a
            special token or repeats one.

    Example:

    >>> tokenizer = WordTokenizer()
    >>> output = tokenizer.tokenize(["It isn't."])
    >>> output["tokens"].to_list()
    [[b'it', b'is', b"n't", b'.']]
    >>> output["token_offsets"].to_list()
    [[[0, 2], [3, 5], [5, 8], [8, 9]]]
    """

    def __init__(
        self,
        vocabulary=None,
        lowercase=True,
        numbers="keep",
        normalize_unicode=False,
    ):
        check_option("numbers", numbers, ("keep", "N"))
        self.lowercase = bool(lowercase)
        self.numbers = numbers
        self.normalize_unicode = bool(normalize_unicode)
        self.vocabulary = None
        self._table = self._python = None
        self._forms = {}
        if vocabulary is not None:
            self.vocabulary = vocabulary_lib.check_vocabulary(vocabulary)
            if self.normalize_unicode:
                self._forms = other_forms(self.vocabulary)
        if not has_tensorflow():
            self._python = PythonTokenizer(
                self.vocabulary,
                self.lowercase,
                self.numbers,
                self._forms if self.normalize_unicode else None,
            )
        elif vocabulary is not None:
            self._table = _lookup_table(self.vocabulary)

    def tokenize(self, texts):
        """Splits texts into tokens.

        Args:
            texts: `(B,)` strings (a list, an array or a tensor), or one
                string, which counts as B = 1.

        Returns:
            Dict of `tokens`, ragged string `(B, None)`, and `token_offsets`,
            ragged int32 `(B, None, 2)`: start and end in code points.
        """
        if self._python is not None:
            return self._python.tokenize(texts)
        tokens, offsets = split_words(_as_batch(texts))
        words = self.normalize(tokens.flat_values)
        return {
            "tokens": tokens.with_flat_values(words),
            "token_offsets": offsets,
        }

    def normalize(self, tokens):
        """Changes tokens into the words of the vocabulary.

        Lower-cases them and replaces numbers and the Unicode forms that the
        vocabulary does not have, as the options say.

        Args:
            tokens: String tensor of any shape, as `split_words` gives them.

        Returns:
            String tensor of the same shape.
        """
        if self._python is not None:
            return self._python.normalize(tokens)
        import tensorflow as tf

        words = tokens = tf.convert_to_tensor(tokens, tf.string)
        if self.lowercase:
            words = _lower(words)
        if self.normalize_unicode:
            words = tf.strings.regex_replace(words, APOSTROPHES, "'")
            words = replace_tokens(words, self._forms)
        if self.numbers == "N":
            has_digit = tf.strings.regex_full_match(tokens, DIGIT_PATTERN)
            words = tf.where(has_digit, NUMBER_TOKEN, words)
        return words

    def __call__(self, texts, max_length=None):
        """Turns texts into padded arrays of ids.

        Args:
            texts: `(B,)` strings, or one string, which counts as B = 1.
            max_length: int or None. Longer texts lose their end. T is the
                longest remaining text, and at least 1. Defaults to None.

        Returns:
            Dict of `token_ids` int32 `(B, T)`, `padding_mask` bool `(B, T)`,
            `tokens` string `(B, T)` padded with `""`, and `token_offsets`
            int32 `(B, T, 2)` padded with 0.

        Raises:
            ValueError: If there is no vocabulary, or `max_length` is negative.
        """
        if max_length is not None and max_length < 0:
            raise ValueError(
                "`max_length` is not negative. "
                f"Received: max_length={max_length}"
            )
        if self.vocabulary is None:
            raise ValueError(
                "Token ids need a vocabulary: WordTokenizer(vocabulary). "
                "Received: vocabulary=None"
            )
        if self._python is not None:
            return self._python.padded(texts, max_length)
        return self._compiled_ids(_as_batch(texts), max_length)

    @functools.cached_property
    def _compiled_ids(self):
        """`_ids` as one graph: eagerly it takes ten times as long."""
        import tensorflow as tf

        return tf.function(self._ids, reduce_retracing=True)

    def _ids(self, texts, max_length):
        import tensorflow as tf

        output = self.tokenize(texts)
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
        """Returns the options, without the vocabulary."""
        return {
            "lowercase": self.lowercase,
            "numbers": self.numbers,
            "normalize_unicode": self.normalize_unicode,
        }

    @classmethod
    def from_preset(cls, preset, normalize_unicode=None):
        """Reads the tokenizer of a preset.

        Args:
            preset: Folder, or name of a preset that comes with the package.
            normalize_unicode: Boolean, in place of the preset's own option.
                Defaults to None, what the preset was trained with.

        Returns:
            A `WordTokenizer`.

        Raises:
            FileNotFoundError: If one of the files is missing.
            ValueError: If there is no such preset, it is one of images, its
                vocabulary is damaged, or `metadata.json` has no entry
                `"tokenizer"`.
        """
        folder = bundled_presets.find(preset)
        metadata = files.read_json(folder / "metadata.json")
        path = folder / "vocabulary.txt"
        if not path.exists():
            raise ValueError(
                "A tokenizer needs a preset of texts; this one has no "
                f"vocabulary. Received: {folder}"
            )
        if not isinstance(metadata, dict) or not metadata.get("tokenizer"):
            raise ValueError(
                f"{folder / 'metadata.json'} has no entry 'tokenizer'. "
                f"Received: entries {sorted(metadata)}"
            )
        _check_sum(path, metadata.get("sha256", {}).get(path.name))
        options = dict(metadata["tokenizer"])
        if normalize_unicode is not None:
            options["normalize_unicode"] = normalize_unicode
        words = files.read_vocabulary(path)
        return cls(vocabulary=words, **options)


def has_tensorflow():
    """Returns whether TensorFlow can be imported."""
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        return False
    return True


def _check_sum(path, expected):
    found = files.sha256(path)
    if expected not in (None, found):
        raise ValueError(
            f"{path} is damaged: its SHA-256 is not the one in metadata.json. "
            "Copy or write the preset again. "
            f"Received: {found}, expected {expected}"
        )


def _as_batch(texts):
    import tensorflow as tf

    texts = tf.convert_to_tensor(texts, dtype=tf.string)
    if texts.shape.rank == 0:
        texts = texts[None]
    if texts.shape.rank != 1:
        raise ValueError(
            f"`texts` has shape (B,). Received: shape={texts.shape}"
        )
    return texts


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
    """Pads a ragged tensor to its longest row, or to one column if empty."""
    import tensorflow as tf

    dense = ragged.to_tensor(padding)
    missing = tf.maximum(1 - tf.shape(dense)[1], 0)
    edges = [[0, 0], [0, missing]] + [[0, 0]] * (dense.shape.rank - 2)
    return tf.pad(dense, edges, constant_values=padding)


def _lower(words):
    """Lower-cases words the same way in every locale.

    What TensorFlow makes of some letters depends on the language of the
    process: `LANG=tr_TR.UTF-8` turns I into \u0131.
    """
    import tensorflow as tf

    def replaced():
        changed = words
        for upper, lower in LOCALE_LETTERS.items():
            changed = tf.strings.regex_replace(changed, upper, lower)
        return changed

    words = tf.strings.lower(words)  # ASCII only, whatever the locale
    letters = "".join(LOCALE_LETTERS)
    found = tf.strings.regex_full_match(words, f".*[{letters}].*")
    words = tf.cond(tf.reduce_any(found), replaced, lambda: words)
    return tf.strings.lower(words, encoding="utf-8")
