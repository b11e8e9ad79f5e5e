"""Word vectors of GloVe's text files for the words of a task."""

import dataclasses
import os

import numpy as np

from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.vectors.vector_lines import VectorLines

CASES = {"lower": str.lower, "capitalize": str.capitalize, "upper": str.upper}
"""The other spellings under which a word may be looked up."""

OOV_POLICIES = ("zeros", "normal", "mean")
"""What a word without a vector gets."""


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """One vector for each entry of a vocabulary.

    Attributes:
        vectors: float32 (V, d). Row 0, the padding, is zeros.
        found: bool (V,), the entries whose vector is from the file.
    """

    vectors: np.ndarray
    found: np.ndarray

    def found_rate(self, counts=None):
        """Return the share of the words that have a vector from the file.

        Args:
            counts: (V,) how often each entry of the vocabulary occurs in a
                text; None counts each once. Padding does not count, and the
                unknown word only where `counts` are given.

        Returns:
            float in [0, 1]; 0 without words.
        """
        if counts is None:
            counts = np.arange(len(self.found)) > vocabulary_lib.UNKNOWN_ID
        counts = np.asarray(counts)[1:]
        total = counts.sum()
        return float(counts[self.found[1:]].sum() / total) if total else 0.0

    def embedding(self, trainable=False, **kwargs):
        """Make the embedding layer that holds the vectors.

        Args:
            trainable: bool.
            kwargs: other arguments of `keras.layers.Embedding`, as `name`.

        Returns:
            `keras.layers.Embedding`, built: int ids (B, T) to (B, T, d).
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
    """Read the vectors of a vocabulary's words from a text file.

    The file holds `token v1 ... vd` a line, as GloVe's do, with or without
    word2vec's header `ROWS DIM`. A token may hold spaces; of several lines
    with the same token the first counts. Every line is checked, and none is
    kept but those of the vocabulary's words.

    Args:
        path: str or path; a name that ends in `.gz` is unpacked on the fly.
        vocabulary: sequence of str, `"<pad>"` at 0 and `"<unk>"` at 1.
        dim: int, the numbers of a line; None takes it from the first lines.
        case_fallback: sequence of `"lower"`, `"capitalize"`, `"upper"`: what
            is looked up, in this order, when the word itself is not in the
            file. Empty: the exact spelling only.
        oov: `"zeros"`, `"normal"` (drawn from a normal distribution) or
            `"mean"` (of the words found): the vectors of other words, and
            that of `"<unk>"` unless the file has one.
        oov_stddev: float, the standard deviation for `"normal"`.
        seed: int, for `"normal"`.
        progress: bool. Whether to show a progress bar.

    Returns:
        `WordVectors`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if an argument is wrong, or a line of the file is: too few
            or too many numbers, no number or not a finite one, no UTF-8. The
            message names file and line.

    Example:

    ```python
    words = ["<pad>", "<unk>", "the", "of"]
    vectors = read_word_vectors("glove.840B.300d.txt", words)
    print(f"{vectors.found_rate():.1%} of the words have a vector")
    embedding = vectors.embedding(name="word_embedding")  # frozen
    ```
    """
    vocabulary = vocabulary_lib.check_vocabulary(vocabulary)
    _check_options(case_fallback, oov, oov_stddev)
    lines = VectorLines(path, dim)
    wanted = _spellings(vocabulary, case_fallback)
    vectors = np.zeros((len(vocabulary), lines.dim), dtype="float32")
    missing = len(case_fallback) + 1
    ranks = np.full(len(vocabulary), missing)  # of the spelling found
    for token, values in _with_progress(lines, wanted, path, progress):
        for row, rank in wanted[token]:
            if rank < ranks[row]:
                vectors[row] = _as_float32(values, path, token)
                ranks[row] = rank
    found = ranks < missing
    rows = np.flatnonzero(~found[1:]) + 1
    vectors[rows] = _unknown(vectors, found, rows, oov, oov_stddev, seed)
    return WordVectors(vectors, found)


def _check_options(case_fallback, oov, oov_stddev):
    wrong = [name for name in case_fallback if name not in CASES]
    if isinstance(case_fallback, str) or wrong:
        raise ValueError(
            f"`case_fallback` is a sequence of {list(CASES)}. "
            f"Received: case_fallback={case_fallback!r}"
        )
    if oov not in OOV_POLICIES:
        raise ValueError(
            f"`oov` is one of {list(OOV_POLICIES)}. Received: oov={oov!r}"
        )
    if not 0 <= oov_stddev < np.inf:
        raise ValueError(
            "`oov_stddev` is finite and not negative. "
            f"Received: oov_stddev={oov_stddev}"
        )


def _spellings(vocabulary, case_fallback):
    """Map each spelling to its `(row, rank)`; the lower rank is better."""
    wanted = {}
    for row, word in enumerate(vocabulary):
        if row == vocabulary_lib.PAD_ID:
            continue
        spellings = [word]
        if row != vocabulary_lib.UNKNOWN_ID:
            spellings += [CASES[name](word) for name in case_fallback]
        for rank, spelling in enumerate(spellings):
            wanted.setdefault(spelling, []).append((row, rank))
    return wanted


def _with_progress(lines, wanted, path, progress):
    from tqdm import tqdm

    with tqdm(
        desc=os.path.basename(path),
        total=lines.num_bytes,
        unit="B",
        unit_scale=True,
        delay=0.5,
        disable=not progress,
    ) as bar:
        yield from lines.select(wanted, lambda done: bar.update(done - bar.n))
        bar.update(lines.num_bytes - bar.n)


def _as_float32(values, path, token):
    with np.errstate(over="ignore"):
        vector = np.asarray(values, dtype="float32")
    if not np.isfinite(vector).all():
        raise ValueError(
            f"{path} holds a number beyond the range of float32. "
            f"Received: the vector of {token!r}"
        )
    return vector


def _unknown(vectors, found, rows, oov, stddev, seed):
    """The vectors of the words that the file lacks."""
    shape = (len(rows), vectors.shape[1])
    if oov == "normal":
        return np.random.default_rng(seed).normal(0.0, stddev, shape)
    if oov == "mean" and found.any():
        mean = vectors[found].mean(axis=0, dtype="float64")
        return np.broadcast_to(mean, shape)
    return np.zeros(shape)
