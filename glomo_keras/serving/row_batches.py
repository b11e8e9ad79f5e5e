"""Cuts requests into batches, and puts the answers together."""

import numpy as np


def count_rows(arrays):
    """Returns the number of rows; arrays of one row go with any number.

    Raises:
        ValueError: If there are no rows, or different numbers of them.
    """
    counts = {name: len(array) for name, array in arrays.items()}
    rows = max(counts.values(), default=0)
    if rows < 1 or min(counts.values()) < 1 or set(counts.values()) - {1, rows}:
        raise ValueError(
            "All inputs must have the same number of rows, one at least. "
            f"Received: rows {counts}"
        )
    return rows


def rows_of(arrays, rows, batch_size):
    """Yields batches of a dict of arrays.

    An array of one row is repeated: a server that batches requests refuses
    inputs of different numbers of rows.
    """
    for start in range(0, rows, batch_size):
        stop = min(start + batch_size, rows)
        yield {
            name: np.repeat(array, stop - start, 0)
            if len(array) == 1
            else array[start:stop]
            for name, array in arrays.items()
        }


def without_padding(answer, inputs):
    """Cuts off the positions that a server's own batching has added.

    Args:
        answer: Dict of arrays.
        inputs: Dict of the arrays that were sent.
    """
    if "token_ids" in inputs:
        length = inputs["token_ids"].shape[1]
    elif "length" in answer:
        length = max(1, int(answer["length"].max()))
    else:
        return answer
    return {
        name: array[_cut(array, _position_axes(name), length)]
        for name, array in answer.items()
    }


def put_together(answers):
    """Joins the answers of batches, padded as the server pads a batch."""
    if len(answers) == 1:
        return answers[0]
    return {
        name: _concatenate([answer[name] for answer in answers], _filler(name))
        for name in answers[0]
    }


def _position_axes(name):
    """Returns the axes of an answer that count positions."""
    if name in ("tokens", "token_offsets"):
        return (1,)
    if name.endswith(("_edge_sources", "_edge_weights")):
        return (3,)
    return {"graphs": (3, 4), "mixture": (1, 2)}.get(name.split("_")[-1], ())


def _cut(array, axes, length):
    return tuple(
        slice(length) if axis in axes else slice(None)
        for axis in range(array.ndim)
    )


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
