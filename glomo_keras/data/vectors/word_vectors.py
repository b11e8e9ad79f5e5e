"""Word vectors of GloVe's text files for the words of a task."""

import collections
import dataclasses
import os

import numpy as np

from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.unicode_forms import normalized
from glomo_keras.data.vectors.vector_file import read_shape
from glomo_keras.data.vectors.vector_file import select_vectors
from glomo_keras.utils.validation import check_option
from glomo_keras.utils.validation import check_positive_or_none

CASES = {"lower": str.lower, "capitalize": str.capitalize, "upper": str.upper}
"""The other spellings under which a word may be looked up."""

OOV_POLICIES = ("zeros", "normal", "mean")
"""Vectors for words that the file lacks."""


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """Holds one vector for each entry of a vocabulary.

    Attributes:
        vectors: float32 `(V, d)`. Row 0, the padding, is zeros.
        found: bool `(V,)`, the entries whose vector is from the file.
    """

    vectors: np.ndarray
    found: np.ndarray

    def found_rate(self):
        """Returns the share of the words, `<unk>` aside, that are in the file.

        float in [0, 1]; 0 without words.
        """
        found = self.found[vocabulary_lib.UNKNOWN_ID + 1 :]
        return float(found.mean()) if len(found) else 0.0

    def embedding(self, trainable=False, **kwargs):
        """Makes the embedding layer that holds the vectors.

        Args:
            trainable: Whether they are trained. Defaults to False.
            kwargs: Other arguments of `keras.layers.Embedding`, as `name`.

        Returns:
            `keras.layers.Embedding`, built: int ids `(B, T)` to `(B, T, d)`.
        """
        import keras

        layer = keras.layers.Embedding(
            *self.vectors.shape, trainable=trainable, **kwargs
        )
        layer.build()
        layer.set_weights([self.vectors])
        return layer


def read_word_vectors(
    path,
    vocabulary,
    dim=None,
    case_fallback=("lower", "capitalize", "upper"),
    oov="zeros",
    oov_stddev=0.01,
    seed=0,
    progress=True,
):
    """Reads the vectors of a vocabulary's words from a text file.

    The file holds `token v1 ... vd` a line, as GloVe's do, with or without
    word2vec's header `ROWS DIM`. A token may hold spaces; of several lines
    with the same token the first counts. Every line is checked, and none is
    kept but those of the vocabulary's words. Blank lines, tokens that end in a
    number (`route 66`) and a header that counts other rows than there are get
    one warning with their numbers.

    Args:
        path: str or path; a name that ends in `.gz`, `.bz2` or `.xz` is
            unpacked on the fly.
        vocabulary: Sequence of str, `"<pad>"` at 0 and `"<unk>"` at 1.
        dim: int, the numbers of a line; None takes it from the first lines.
            Defaults to None.
        case_fallback: Sequence of `"lower"`, `"capitalize"`, `"upper"`: what
            is looked up, in this order, when the word itself (as it is, or in
            NFC and with straight apostrophes) is not in the file. Empty: no
            other case. Defaults to all three.
        oov: `"zeros"`, `"normal"` (drawn from a normal distribution) or
            `"mean"` (of the words found): the vectors of other words, and
            that of `"<unk>"` unless the file has one. Defaults to `"zeros"`.
        oov_stddev: float, the standard deviation for `"normal"`. Defaults to
            0.01.
        seed: int, for `"normal"`. Defaults to 0.
        progress: Whether to show a progress bar. Defaults to True.

    Returns:
        `WordVectors`.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If a packed file is damaged.
        ValueError: If an argument is wrong, or a line of the file is: too few
            numbers, no number or not a finite one, not UTF-8. The message
            names file and line.

    Example:

    ```python
    words = ["<pad>", "<unk>", "the", "of"]
    vectors = read_word_vectors("glove.840B.300d.txt", words)
    print(f"{vectors.found_rate():.1%} of the words have a vector")
    embedding = vectors.embedding(name="word_embedding")  # frozen
    ```
    """
    vocabulary = vocabulary_lib.check_vocabulary(vocabulary)
    _check_options(dim, case_fallback, oov, oov_stddev)
    path = os.fspath(path)
    dim, num_rows = read_shape(path, dim)
    wanted = _spellings(vocabulary, case_fallback)
    vectors = np.zeros((len(vocabulary), dim), dtype="float32")
    ranks = np.full(len(vocabulary), np.inf)  # of the spelling found
    for token, vector in select_vectors(path, dim, num_rows, wanted, progress):
        for row, rank in wanted[token]:
            if rank < ranks[row]:
                vectors[row] = vector
                ranks[row] = rank
    found = np.isfinite(ranks)
    rows = np.flatnonzero(~found[1:]) + 1
    vectors[rows] = _unknown(vectors, found, rows, oov, oov_stddev, seed)
    return WordVectors(vectors, found)


def _check_options(dim, case_fallback, oov, oov_stddev):
    check_positive_or_none(dim=dim)
    wrong = [name for name in case_fallback if name not in CASES]
    if isinstance(case_fallback, str) or wrong:
        raise ValueError(
            f"`case_fallback` is a sequence of {list(CASES)}. "
            f"Received: case_fallback={case_fallback!r}"
        )
    check_option("oov", oov, OOV_POLICIES)
    if not 0 <= oov_stddev < np.inf:
        raise ValueError(
            "`oov_stddev` is finite and not negative. "
            f"Received: oov_stddev={oov_stddev}"
        )


def _spellings(vocabulary, case_fallback):
    """Maps each spelling to its `(row, rank)`; the lower rank is better."""
    wanted = collections.defaultdict(list)
    for row, word in enumerate(vocabulary):
        if row == vocabulary_lib.PAD_ID:
            continue
        spellings = [word]
        if row != vocabulary_lib.UNKNOWN_ID:
            usual = normalized(word)
            spellings += [
                usual,
                *(CASES[name](usual) for name in case_fallback),
            ]
        for rank, spelling in enumerate(spellings):
            wanted[spelling].append((row, rank))
    return dict(wanted)


def _unknown(vectors, found, rows, oov, stddev, seed):
    """Returns the vectors of the words that the file lacks."""
    shape = (len(rows), vectors.shape[1])
    if oov == "normal":
        return np.random.default_rng(seed).normal(0.0, stddev, shape)
    if oov == "mean" and found.any():
        mean = vectors[found].mean(axis=0, dtype="float64")
        return np.broadcast_to(mean, shape)
    return np.zeros(shape)
