"""Word vectors of GloVe's text files for the words of a task."""

import collections
import dataclasses
import itertools
import math
import os
import re
import warnings

import numpy as np
from tqdm import tqdm

from glomo_keras.data import lines as lines_lib
from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.word_tokenizer import normalized

CASES = {"lower": str.lower, "capitalize": str.capitalize, "upper": str.upper}
"""The other spellings under which a word may be looked up."""

OOV_POLICIES = ("zeros", "normal", "mean")
"""What a word without a vector gets."""

SAMPLE_LINES = 20
"""The lines from which the number of dimensions is told."""

_NUMBER_BYTES = b"0123456789.+-eE"
_HEADER = re.compile(rb"(\d+) (\d+)")


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """One vector for each entry of a vocabulary.

    Attributes:
        vectors: float32 `(V, d)`. Row 0, the padding, is zeros.
        found: bool `(V,)`, the entries whose vector is from the file.
    """

    vectors: np.ndarray
    found: np.ndarray

    def found_rate(self, counts=None):
        """Returns the share of the words that have a vector from the file.

        Args:
            counts: `(V,)`, how often each entry of the vocabulary occurs in a
                text; None counts each once. Padding does not count, and the
                unknown word only where `counts` are given. Defaults to None.

        Returns:
            float in [0, 1]; 0 without words.
        """
        if counts is None:
            counts = np.arange(len(self.found)) > vocabulary_lib.UNKNOWN_ID
        counts = np.asarray(counts)[1:]
        total = counts.sum()
        return float(counts[self.found[1:]].sum() / total) if total else 0.0

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
            numbers, no number or not a finite one, no UTF-8. The message
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
    dim, num_rows = _shape_of(path, dim)
    wanted = _spellings(vocabulary, case_fallback)
    vectors = np.zeros((len(vocabulary), dim), dtype="float32")
    ranks = np.full(len(vocabulary), np.inf)  # of the spelling found
    for token, vector in _select(path, dim, num_rows, wanted, progress):
        for row, rank in wanted[token]:
            if rank < ranks[row]:
                vectors[row] = vector
                ranks[row] = rank
    found = np.isfinite(ranks)
    rows = np.flatnonzero(~found[1:]) + 1
    vectors[rows] = _unknown(vectors, found, rows, oov, oov_stddev, seed)
    return WordVectors(vectors, found)


def _check_options(dim, case_fallback, oov, oov_stddev):
    if dim is not None and dim < 1:
        raise ValueError(f"`dim` is at least 1. Received: dim={dim}")
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


def _shape_of(path, dim):
    """Returns the numbers of a line, and the rows if there is a header."""
    lines = [
        line for _, line in itertools.islice(_lines(path), SAMPLE_LINES) if line
    ]
    if not lines:
        raise ValueError(
            "A file of word vectors has at least one line. "
            f"Received: {path!r}, which is empty"
        )
    header = _HEADER.fullmatch(lines[0])
    widths = collections.Counter(
        map(_trailing_numbers, lines[1:] if header else lines)
    )
    found = widths.most_common(1)[0][0] if widths else 0
    if header and found != 1 and len(lines) > 1:
        found_in_header = int(header[2])
        if (dim or found) != found_in_header:
            raise ValueError(
                f"The header of {path} says {found_in_header} dimensions, not "
                f"{dim or found}. Received: dim={dim}"
            )
        return found_in_header, int(header[1])
    found = found or _trailing_numbers(lines[0])
    if not found:
        raise _fault(path, 1, "has no numbers after a token", _cut(lines[0]))
    if dim is not None and dim != found:
        more = "fewer" if dim > found else "more"
        raise _fault(
            path,
            1,
            f"has {more} than {dim} numbers after its token",
            f"dim={dim}, {found} numbers in most of the first lines",
        )
    return found, None


def _trailing_numbers(line):
    """Returns how many pieces of a line are numbers, from its end on."""
    count = 0
    for piece in reversed(line.split(b" ")[1:]):
        try:
            float(piece)
        except ValueError:
            break
        count += 1
    return count


def _lines(path, progress=False):
    """Yields the lines of a file, counted from 1, without their breaks."""
    with tqdm(
        desc=os.path.basename(path),
        total=os.path.getsize(path),
        unit="B",
        unit_scale=True,
        delay=0.5,
        disable=not progress,
    ) as bar:
        lines = lines_lib.raw_lines(
            path, report=lambda done: bar.update(done - bar.n)
        )
        for number, line in enumerate(lines, 1):
            if len(line) >= lines_lib.MAX_LINE_BYTES:
                what = "is too long for a word vector"
                raise _fault(path, number, what, _cut(line))
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            yield number, line.rstrip(b" \t\r\n")


def _select(path, dim, num_rows, wanted, progress):
    """Checks all lines; yields the vectors of the tokens that are wanted."""
    odd = collections.Counter()
    rows = 0
    lines = _lines(path, progress)
    if num_rows is not None:
        next(lines)  # the header
    for number, line in lines:
        if not line:
            odd["blank lines"] += 1
            continue
        rows += 1
        token, numbers = _split(path, number, line, dim)
        if b" " in token and _trailing_numbers(token):
            odd["tokens that end in a number"] += 1
        token = token.decode("utf-8")
        # Most lines are not wanted: their characters tell enough, and much
        # faster than their numbers.
        if token in wanted:
            yield token, _parse(path, number, numbers)
        elif b"" in numbers or b"".join(numbers).translate(None, _NUMBER_BYTES):
            _parse(path, number, numbers)
    if num_rows not in (None, rows):
        odd[f"rows, {num_rows} by the header"] = rows
    if odd:
        counts = ", ".join(f"{n:,} {what}" for what, n in odd.items())
        warnings.warn(f"{path} has {counts}.", stacklevel=3)


def _split(path, number, line, dim):
    """Returns the token, and the list of the `dim` numbers after it."""
    token, *numbers = line.rsplit(b" ", dim)
    if len(numbers) < dim:
        raise _fault(
            path,
            number,
            f"has fewer than {dim} numbers after its token",
            f"{len(numbers)} in {_cut(line)}",
        )
    if not token:
        raise _fault(path, number, "has no token", _cut(line))
    try:
        token.decode("utf-8")
    except UnicodeDecodeError:
        what = "holds a token that is not UTF-8"
        raise _fault(path, number, what, token[:40]) from None
    return token, numbers


def _parse(path, number, numbers):
    try:
        values = [float(piece) for piece in numbers]
    except ValueError as error:
        what = f"does not end in {len(numbers)} numbers"
        raise _fault(path, number, what, error) from None
    with np.errstate(over="ignore"):
        vector = np.array(values, dtype="float32")
    if not math.isfinite(sum(values)) or not np.isfinite(vector).all():
        what = "holds a number that float32 does not (not finite, or too large)"
        raise _fault(path, number, what, _cut(b" ".join(numbers)))
    return vector


def _fault(path, number, what, received):
    return ValueError(f"{path}, line {number}, {what}. Received: {received}")


def _cut(line):
    return repr(line[:60].decode("utf-8", "replace"))


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
