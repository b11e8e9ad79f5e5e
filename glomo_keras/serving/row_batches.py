"""Requests cut in batches, and the answers put together."""

import numpy as np


def count_rows(arrays):
    """The rows of arrays; those with one row go with any number.

    Raises:
        ValueError: if there are none, or different numbers of them.
    """
    counts = {name: len(array) for name, array in arrays.items()}
    rows = max(counts.values(), default=0)
    if rows < 1 or min(counts.values()) < 1 or set(counts.values()) - {1, rows}:
        raise ValueError(
            "All inputs must have the same number of rows, one at least. "
            f"Received: rows {counts}"
        )
    return rows


def rows_of(arrays, start, stop):
    """Some rows of a dict of arrays, and the whole of those with one row."""
    return {
        name: array if len(array) == 1 else array[start:stop]
        for name, array in arrays.items()
    }


def put_together(answers):
    """Answers of batches as one, padded as the server pads a batch."""
    if len(answers) == 1:
        return answers[0]
    return {
        name: _concatenate([answer[name] for answer in answers], _filler(name))
        for name in answers[0]
    }


def _filler(name):
    if name.endswith("_sources"):
        return -1
    return "" if name == "tokens" else 0


def _concatenate(parts, filler):
    rows = sum(len(part) for part in parts)
    widest = np.max([part.shape[1:] for part in parts], axis=0).astype(int)
    whole = np.full((rows, *widest), filler, parts[0].dtype)
    start = 0
    for part in parts:
        place = (slice(start, start + len(part)), *map(slice, part.shape[1:]))
        whole[place] = part
        start += len(part)
    return whole
