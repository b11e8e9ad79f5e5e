"""Reads each head's answer: the source of a row's strongest edge."""

import numpy as np

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.utils.graph_arrays import admissible_pairs
from glomo_keras.utils.graph_arrays import check_axes
from glomo_keras.utils.graph_arrays import ratio

SIGNS = {"forward": -1, "backward": 1}


def strongest_sources(graphs):
    """Returns where the strongest edge of each row comes from.

    The first of equally strong edges counts.

    Args:
        graphs: iterable of dicts of `forward_graphs` and `backward_graphs`
            (or one of them), arrays `(L, K, T, T)` of one text each, such as
            `word_graphs` yields.

    Returns:
        Dict of `forward`, `backward` or both: int32 arrays `(L, K, N)` for
        the N words of all texts, the position of the source less that of the
        word; 0 for a row without an edge. Forward answers are negative,
        backward ones positive: a row can name no word on the other side.

    Raises:
        ValueError: If there is no text, or a graph has another rank.

    Example:

    >>> graph = np.eye(3, k=-1)[None, None]
    >>> strongest_sources([{"forward_graphs": graph}])["forward"]
    array([[[ 0, -1, -1]]], dtype=int32)
    """
    found = {}
    for of_text in graphs:
        for direction in checked_directions(of_text):
            graph = of_text[f"{direction}_graphs"]
            check_axes(graph, 4)
            at = np.arange(graph.shape[-1])
            sources = np.where(graph.any(-1), graph.argmax(-1) - at, 0)
            found.setdefault(direction, []).append(sources.astype("int32"))
    if not found:
        raise ValueError("There must be a text. Received: no graphs")
    return {
        direction: np.concatenate(parts, axis=-1)
        for direction, parts in found.items()
    }


def offset_sources(lengths, offsets):
    """Returns the answers of rules that always name the same offset.

    Args:
        lengths: sequence of integers, the words of each text.
        offsets: sequence of K positive integers, such as 1 for the word next
            to each word, which is also what any decay with distance names.

    Returns:
        Dict like that of `strongest_sources`, with arrays `(1, K, N)`.

    Example:

    >>> offset_sources([3], [1, 2])["forward"]
    array([[[ 0, -1, -1],
            [ 0,  0, -2]]], dtype=int32)
    """
    at = np.concatenate([np.arange(length) for length in lengths])
    left = {"forward": at, "backward": np.repeat(lengths, lengths) - 1 - at}
    steps = np.array(offsets, "int32")[:, None]  # (K, 1)
    return {
        direction: np.where(
            steps <= left[direction], SIGNS[direction] * steps, 0
        )[None].astype("int32")
        for direction in DIRECTIONS
    }


def decay_graphs(lengths, rate=0.5):
    """Yields graphs whose weights fall with distance, `exp(-rate * d)`.

    Args:
        lengths: sequence of integers, the words of each text.
        rate: float. Defaults to 0.5.

    Yields:
        Dicts of `forward_graphs` and `backward_graphs`, arrays
        `(1, 1, T, T)`, rows of sum 1 (or 0 at an end).
    """
    for length in lengths:
        at = np.arange(length)
        weights = np.exp(-rate * np.abs(at[:, None] - at))  # (T, T)
        graphs = {}
        for direction in DIRECTIONS:
            rows = weights * admissible_pairs(length, direction)
            rows = ratio(rows, rows.sum(-1, keepdims=True))
            graphs[f"{direction}_graphs"] = rows[None, None]
        yield graphs


def check_words(answers, count):
    """Raises ValueError unless there is an answer for each word."""
    if answers.shape[-1] != count:
        raise ValueError(
            "There must be an answer for each word: probe the texts that the "
            f"graphs are of. Received: {answers.shape[-1]} answers, {count} "
            "words"
        )
