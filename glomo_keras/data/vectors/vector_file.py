"""Reads the text files of GloVe and word2vec line by line, and checks them."""

import collections
import itertools
import math
import os
import re
import warnings

import numpy as np
from tqdm import tqdm

from glomo_keras.data import lines as lines_lib

SAMPLE_LINES = 20
"""Number of lines read to find the vector size."""

_NUMBER_BYTES = b"0123456789.+-eE"
_HEADER = re.compile(rb"(\d+) (\d+)")


def read_shape(path, dim):
    """Returns the size of a vector, and the rows if there is a header."""
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
            raise _fault(
                path,
                1,
                f"is a header that says {found_in_header} dimensions, not "
                f"{dim or found}",
                f"dim={dim}",
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


def select_vectors(path, dim, num_rows, wanted, progress):
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
        # Most lines are not wanted: checking their characters is enough, and
        # much faster than parsing their numbers.
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
