"""Tests whether pronouns give weight to the name that they stand for."""

import csv
from typing import NamedTuple

import numpy as np

from glomo_keras.analysis.probes.tally import Tally
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.utils import files

COLUMNS = (
    "Text",
    "Pronoun",
    "Pronoun-offset",
    "A",
    "A-offset",
    "A-coref",
    "B",
    "B-offset",
    "B-coref",
)


class Pronoun(NamedTuple):
    """An ambiguous pronoun in a text, with two names.

    Attributes:
        text: string.
        pronoun: start and end in code points.
        names: start and end of both names.
        answer: 0 or 1, which name it stands for; None for neither.
    """

    text: str
    pronoun: tuple
    names: tuple
    answer: int | None


def read_gap(path):
    """Reads a file of the GAP coreference data.

    Args:
        path: path of `gap-development.tsv` or its like.

    Returns:
        List of `Pronoun`.

    Raises:
        ValueError: If a column is missing or an offset does not lead to its
            name. The message names the file and the row.
    """
    text = files.read_text(path)
    rows = csv.DictReader(
        text.split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE
    )
    missing = set(COLUMNS) - set(rows.fieldnames or ())
    if missing:
        raise ValueError(
            f"{path} must have the columns of GAP. "
            f"Received: no {sorted(missing)}"
        )
    return [
        _pronoun(f"{path}, row {number}", row)
        for number, row in enumerate(rows, 1)
    ]


def coreference_tallies(graphs, pronouns, token_offsets):
    """Counts the pronouns that give more weight to the right name.

    The weight of a name is the largest weight in the pronoun's row among the
    tokens of the name; of equal weights the first name's counts, so that a
    rule without an edge to either answers with it. Pronouns of neither name
    are not asked. A forward graph's row sees the names before the pronoun
    alone, a backward graph's row those after it.

    Args:
        graphs: iterable of dicts as `word_graphs` yields, one a text.
        pronouns: list of `Pronoun`.
        token_offsets: list of integer arrays `(T, 2)`, start and end of the
            tokens of each text in code points.

    Returns:
        Dict of `Tally` with rules `(L, K)`, for the directions of the graphs.

    Raises:
        ValueError: If there are not as many graphs as pronouns, or a pronoun
            or name has no token.
    """
    correct = {}
    for of_text, pronoun, offsets in zip(
        graphs, pronouns, token_offsets, strict=True
    ):
        row = _tokens(pronoun.text, pronoun.pronoun, offsets)[0]
        names = [_tokens(pronoun.text, name, offsets) for name in pronoun.names]
        for direction in checked_directions(of_text):
            rows = of_text[f"{direction}_graphs"][:, :, row]  # (L, K, T)
            first, second = (rows[..., name].max(-1) for name in names)
            right = (second > first) == pronoun.answer
            correct.setdefault(direction, []).append(right)
    total = np.array([pronoun.answer is not None for pronoun in pronouns])
    return {
        direction: Tally(np.stack(right, axis=-1) & total, total)
        for direction, right in correct.items()
    }


def nearest_name(pronouns, token_offsets):
    """Counts the pronouns whose nearest name is the right one.

    This is also the answer of any weights that fall with distance on both
    sides. The distance is in tokens; of equal ones the first name counts.

    Returns:
        A `Tally` of one rule.
    """
    correct = []
    for pronoun, offsets in zip(pronouns, token_offsets, strict=True):
        at = _tokens(pronoun.text, pronoun.pronoun, offsets)[0]
        first, second = (
            np.abs(_tokens(pronoun.text, name, offsets) - at).min()
            for name in pronoun.names
        )
        correct.append((second < first) == pronoun.answer)
    total = np.array([pronoun.answer is not None for pronoun in pronouns])
    return Tally(np.array(correct) & total, total)


def _pronoun(place, row):
    spans = []
    for column in ("Pronoun", "A", "B"):
        start = row[f"{column}-offset"] or ""
        name = row[column] or ""
        if not start.isdecimal() or not row["Text"].startswith(
            name, int(start)
        ):
            raise ValueError(
                f"{place}: the offset must lead to {column!r} in the text. "
                f"Received: {name!r} at {start!r}"
            )
        spans.append((int(start), int(start) + len(name)))
    answers = [
        (row[f"{name}-coref"] or "").strip().upper() == "TRUE" for name in "AB"
    ]
    answer = answers.index(True) if any(answers) else None
    return Pronoun(row["Text"], spans[0], tuple(spans[1:]), answer)


def _tokens(text, span, offsets):
    """Positions of the tokens that share a character with a span."""
    start, end = span
    places = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))
    if not len(places):
        raise ValueError(
            "Each pronoun and name must have a token. Received: none for "
            f"{text[start:end]!r} in {text[:60]!r}"
        )
    return places
