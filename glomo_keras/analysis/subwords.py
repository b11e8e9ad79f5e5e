"""Graphs between words on the subwords of another tokenizer."""

import unicodedata

import numpy as np

from glomo_keras.ops.graphs import checked_directions
from glomo_keras.utils.graph_arrays import as_array
from glomo_keras.utils.graph_arrays import check_axes
from glomo_keras.utils.graph_arrays import check_weights
from glomo_keras.utils.graph_arrays import ratio

WORD_STARTS = ("▁", "Ġ")
"""How tokenizers mark the first piece of a word."""
MARKERS = ("##", *WORD_STARTS)
"""All marks that are stripped from pieces."""


def subword_graphs(graphs, word_offsets, subword_offsets):
    """Puts graphs between words on the pieces of another tokenizer.

    Words and pieces meet in the characters that they share. A piece receives
    what its word receives, and the weight of a source is divided among the
    pieces of the source by their characters; a piece that lies in several
    words receives their mean. A row has the sum of its word's row: 1 or, in a
    mixture of graphs, less. It is 0 for pieces of words without an edge and
    for pieces of no word, such as `[CLS]` and padding, which are no sources
    either. If all sources of a word were cut off, its rows are 0; if some
    were, the others are scaled up.

    Args:
        graphs: array `(B, ..., T, T)`, or a dict of such arrays, as
            predictors return it. Rows are receivers.
        word_offsets: integer array `(B, T, 2)`: start and end of each word,
            as `WordTokenizer` returns them. Words of no character (padding)
            have equal start and end.
        subword_offsets: integer array `(B, S, 2)`, the same for pieces, in
            the same text; see `find_offsets`.

    Returns:
        Array `(B, ..., S, S)` of the dtype of the graphs, float64 for
        integers, or a dict of them.

    Raises:
        ValueError: If the shapes do not fit, or a weight is negative or not
            finite.

    Example:

    >>> graph = np.array([[[0, 0], [1, 0]]], "float32")  # "cat" <- "the"
    >>> words = np.array([[[0, 3], [4, 7]]])
    >>> pieces = np.array([[[0, 2], [2, 3], [4, 7]]])  # "th", "e", "cat"
    >>> subword_graphs(graph, words, pieces)[0, 2].round(3)
    array([0.667, 0.333, 0.   ], dtype=float32)
    """
    if isinstance(graphs, dict):
        names = [f"{side}_graphs" for side in checked_directions(graphs)]
        return {
            name: subword_graphs(
                as_array(graphs[name]), word_offsets, subword_offsets
            )
            for name in names
        }
    graphs = as_array(graphs)
    check_axes(graphs, max(graphs.ndim, 3))
    check_weights(graphs)
    words, pieces = as_array(word_offsets), as_array(subword_offsets)
    batch, length = graphs.shape[0], graphs.shape[-1]
    _check_offsets("word_offsets", words, (batch, length, 2))
    _check_offsets("subword_offsets", pieces, (batch, *pieces.shape[1:2], 2))
    shared = _shared_characters(pieces, words)  # (B, S, T)
    axes = (batch, *(1,) * (graphs.ndim - 3), *shared.shape[1:])
    receivers = ratio(shared, shared.sum(2, keepdims=True)).reshape(axes)
    sources = ratio(shared, shared.sum(1, keepdims=True)).reshape(axes)
    spread = receivers @ graphs @ np.swapaxes(sources, -1, -2)
    # A long sum of bfloat16 stops growing.
    sums = graphs.sum(-1, keepdims=True, dtype="float64")  # (B, ..., T, 1)
    wanted = ratio(receivers @ sums, receivers @ (sums > 0))
    rows = wanted * ratio(spread, spread.sum(-1, keepdims=True))
    integers = graphs.dtype.kind in "biu"
    # (B, ..., S, S)
    return rows.astype("float64" if integers else graphs.dtype)


def find_offsets(text, pieces):
    """Finds the pieces of a tokenizer in their text, one after the other.

    Case, accents and the marks of inner or first pieces (`##`, `▁`, `Ġ`) do
    not count, nor do characters between the pieces other than letters and
    digits. A piece that does not come next, such as `[CLS]` or `[UNK]`, gets
    the offsets (0, 0); the one after it is looked for in the rest of the
    text. Not for byte-level pieces of letters outside ASCII: take the offsets
    of their tokenizer.

    Args:
        text: string.
        pieces: sequence of S strings, in the order of the text.

    Returns:
        int32 array `(S, 2)`: start and end in code points.

    Example:

    >>> find_offsets("Déjà vu.", ["[CLS]", "dej", "##a", "vu", "."]).tolist()
    [[0, 0], [0, 3], [3, 4], [5, 7], [7, 8]]
    """
    plain, places = "", []
    for place, character in enumerate(text):
        letters = _plain(character)
        plain += letters
        places += [place] * len(letters)
    marks_starts = any(x.startswith(WORD_STARTS) for x in pieces)
    offsets, at, lost = [], 0, False
    for piece in pieces:
        letters = _plain(_without_marker(piece))
        starts_word = marks_starts == piece.startswith(WORD_STARTS)
        starts_word &= not piece.startswith("##")
        start = _find(plain, letters, at, lost, starts_word)
        lost = start is None
        if lost:
            offsets.append((0, 0))
            continue
        at = start + len(letters)
        offsets.append((places[start], places[at - 1] + 1))
    return np.array(offsets, "int32").reshape(-1, 2)


def _find(text, letters, at, lost, starts_word):
    """Returns where the next piece starts, None if it does not come next.

    Args:
        text: string.
        letters: string, the piece.
        at: where the piece before it ends.
        lost: boolean, whether the piece before it was not found: what stands
            in its place is skipped.
        starts_word: boolean, whether the piece is the first of a word:
            matches at the start of a word are preferred.
    """
    first = text.find(letters, at) if letters else -1
    skipped = any(c.isalnum() for c in text[at:first])
    if first < 0 or (skipped and not lost):
        return None
    start = first
    while lost and starts_word and start >= 0:
        if not (letters[0].isalnum() and text[start - 1 : start].isalnum()):
            return start
        start = text.find(letters, start + 1)
    return first


def _plain(text):
    """Folds case, of a Greek final sigma too, and drops accents."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if unicodedata.category(c) != "Mn")


def _without_marker(piece):
    for marker in MARKERS:
        if piece.startswith(marker) and len(piece) > len(marker):
            return piece.removeprefix(marker)
    return piece


def _shared_characters(pieces, words):
    """Counts the characters that pieces share with words, `(B, S, T)`."""
    pieces, words = pieces.astype("int64"), words.astype("int64")
    starts = np.maximum(pieces[:, :, None, 0], words[:, None, :, 0])
    ends = np.minimum(pieces[:, :, None, 1], words[:, None, :, 1])
    return np.maximum(ends - starts, 0).astype("float64")


def _check_offsets(name, offsets, shape):
    if offsets.shape != shape or offsets.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must be integers of shape {shape}. Received: {name} "
            f"of {offsets.dtype}, shape {offsets.shape}"
        )
