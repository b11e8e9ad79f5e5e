"""Sentences with their dependency heads, in the CoNLL-U format."""

import re
from typing import NamedTuple

import numpy as np

from glomo_keras.utils import files

COLUMNS = 10
DOCUMENT = re.compile(r"#\s*newdoc\b(?:\s+id\s*=\s*(.*))?")


class Sentence(NamedTuple):
    """A sentence of a treebank with T words.

    Attributes:
        words: list of T strings, as the file gives them.
        heads: int32 array `(T,)`, the positions of the heads, from 0; the
            root has -1.
        relations: list of T strings.
        tags: list of T strings, universal parts of speech.
        document: string, the name of its document (`# newdoc id`), or the
            line where a document without a name begins; empty where the file
            tells no documents apart.
    """

    words: list
    heads: np.ndarray
    relations: list
    tags: list
    document: str = ""


def read_conllu(path):
    """Reads a treebank of Universal Dependencies.

    Multiword tokens (`1-2`) and empty nodes (`1.1`) are left out: the words
    that the tree is of stay.

    Args:
        path: path of a `.conllu` file.

    Returns:
        List of `Sentence`.

    Raises:
        ValueError: If a line is not of the format, words are not numbered one
            by one, or a head is not a word of the sentence. The message names
            the file and the line.

    Example:

    >>> import pathlib
    >>> row = "{}\\t{}\\t_\\tNOUN\\t_\\t_\\t{}\\t{}\\t_\\t_\\n".format
    >>> _ = pathlib.Path("two.conllu").write_text(
    ...     row(1, "cats", 2, "nsubj") + row(2, "sleep", 0, "root"))
    >>> [sentence] = read_conllu("two.conllu")
    >>> sentence.words, sentence.heads
    (['cats', 'sleep'], array([ 1, -1], dtype=int32))
    """
    sentences, rows, document = [], [], ""
    text = files.read_text(path)
    for number, line in enumerate([*text.split("\n"), ""], 1):
        place = f"{path}, line {number}"
        if match := DOCUMENT.match(line):
            document = (match[1] or f"line {number}").strip()
        if line.strip() and not line.startswith("#"):
            rows += _row(place, line.rstrip("\r"), len(rows) + 1)
        elif rows and not line.strip():
            sentences.append(_sentence(place, rows, document))
            rows = []
    if not sentences:
        raise ValueError(
            f"{path} contains no sentence. Received: {len(text)} characters"
        )
    return sentences


def _row(place, line, expected):
    cells = line.split("\t")
    if len(cells) != COLUMNS:
        raise ValueError(
            f"{place}: a word has {COLUMNS} columns. Received: {line[:60]!r}"
        )
    number, word, _, tag, _, _, head, relation, _, _ = cells
    if "-" in number or "." in number:
        return []
    if not (number.isdecimal() and head.isdecimal()):
        raise ValueError(
            f"{place}: columns 1 and 7 must be numbers. "
            f"Received: {number!r} and {head!r}"
        )
    if int(number) != expected:
        raise ValueError(
            f"{place}: words are numbered from 1, with an empty line between "
            f"two sentences; the next one is {expected}. Received: {number}"
        )
    return [(word, int(head) - 1, relation, tag)]


def _sentence(place, rows, document):
    words, heads, relations, tags = (
        list(cells) for cells in zip(*rows, strict=True)
    )
    if max(heads) >= len(words):
        raise ValueError(
            f"{place}: the sentence above it has {len(words)} words. "
            f"Received: the head {max(heads) + 1}"
        )
    heads = np.array(heads, "int32")
    return Sentence(words, heads, relations, tags, document)
