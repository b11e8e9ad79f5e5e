"""Reads the text files of GloVe and word2vec line by line, and checks them."""

import collections
import gzip
import itertools
import math
import os
import re
import zlib

MAX_LINE_BYTES = 1 << 20
"""A longer line is no word vector."""

SAMPLE_LINES = 20
"""The lines from which the number of dimensions is told."""

_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NUMBER_BYTES = b"0123456789.+-eE "
_HEADER = re.compile(rb"(\d+) (\d+)")


class VectorLines:
    """The lines `token v1 ... vd` of a text file, as a stream.

    A token may hold spaces: it is what stands left of the last `dim` pieces.
    A first line `ROWS DIM`, as word2vec writes it, is skipped, and the number
    of rows compared with it.

    Args:
        path: str or path; a name that ends in `.gz` is unpacked on the fly.
        dim: int, the numbers of a line; None takes it from the first lines.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, or `dim` is not that of its header.

    Attributes:
        dim: int.
    """

    def __init__(self, path, dim=None):
        if dim is not None and dim < 1:
            raise ValueError(f"`dim` is at least 1. Received: dim={dim}")
        self._path = os.fspath(path)
        with self._open() as file:
            sample = list(itertools.islice(self._lines(file), SAMPLE_LINES))
        if not sample:
            raise ValueError(
                "A file of word vectors has at least one line. "
                f"Received: {self._path!r}, which is empty"
            )
        self._num_rows = None
        self.dim = dim or self._dim_of(sample)
        header = _HEADER.fullmatch(sample[0][1])
        if header and self.dim > 1:
            self._num_rows = int(header[1])
            self._check_header(int(header[2]))

    @property
    def num_bytes(self):
        """Size of the file on disk."""
        return os.path.getsize(self._path)

    def select(self, tokens, report=lambda position: None):
        """Check every line, and yield those of some tokens.

        Args:
            tokens: set or dict of str.
            report: function, told how many bytes of the file are read.

        Yields:
            `(token, values)`: str, and the list of its floats.

        Raises:
            ValueError: for a line that is no word vector, naming its number.
        """
        rows = 0
        with self._open() as file:
            lines = self._lines(file, report)
            if self._num_rows is not None:
                next(lines)
            for number, line in lines:
                rows += 1
                token, numbers = self._split(number, line)
                # Most lines are of no use: to look at their signs alone is
                # much faster than to parse them.
                if token in tokens:
                    yield token, self._parse(number, numbers)
                elif numbers.translate(None, _NUMBER_BYTES) or b"  " in line:
                    self._parse(number, numbers)
        if self._num_rows not in (None, rows):
            raise ValueError(
                f"The header of {self._path} promises {self._num_rows} rows: "
                f"is the file cut short? Received: {rows} rows"
            )

    def _open(self):
        return open(self._path, "rb")

    def _lines(self, raw, report=lambda position: None):
        """Yield `(number, line)`, the line without its break, from 1 on."""
        file = gzip.open(raw) if self._path.endswith(".gz") else raw
        for number in itertools.count(1):
            line = self._read_line(file, number)
            if not line:
                return
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if number % 1000 == 0:
                report(raw.tell())
            yield number, line.rstrip(b" \t\r\n")

    def _read_line(self, file, number):
        try:
            line = file.readline(MAX_LINE_BYTES)
        except (EOFError, OSError, zlib.error) as error:
            raise self._fault(number, "cannot be read", error) from error
        if len(line) == MAX_LINE_BYTES:
            raise self._fault(
                number, "is too long for a word vector", line[:40]
            )
        return line

    def _split(self, number, line):
        """The token, and the bytes of the `dim` numbers after it."""
        if line.count(b" ") == self.dim:
            token, _, numbers = line.partition(b" ")
        else:
            pieces = line.rsplit(b" ", self.dim)
            token, numbers = pieces[0], b" ".join(pieces[1:])
            if len(pieces) <= self.dim:
                raise self._fault(
                    number,
                    f"has fewer than {self.dim} numbers after its token",
                    f"{len(pieces) - 1} numbers in {_cut(line)!r}",
                )
            self._check_token(number, token)
        if not token:
            raise self._fault(number, "has no token", repr(_cut(line)))
        try:
            return token.decode("utf-8"), numbers
        except UnicodeDecodeError:
            raise self._fault(
                number, "holds a token that is not UTF-8", token[:40]
            ) from None

    def _parse(self, number, numbers):
        try:
            values = list(map(float, numbers.split(b" ")))
        except ValueError as error:
            raise self._fault(
                number, f"does not end in {self.dim} numbers", error
            ) from None
        if not math.isfinite(sum(values)):
            raise self._fault(
                number, "holds a number that is not finite", _cut(numbers)
            )
        return values

    def _check_token(self, number, token):
        """Refuse a line of more than `dim` numbers: no token in the known
        files ends in a space and a number.
        """
        before, _, last = token.rpartition(b" ")
        if before and _NUMBER.fullmatch(last):
            raise self._fault(
                number,
                f"has more than {self.dim} numbers after its token",
                repr(_cut(token)),
            )

    def _fault(self, number, what, received):
        return ValueError(
            f"{self._path}, line {number}, {what}. Received: {received}"
        )

    def _dim_of(self, sample):
        """The most frequent number of numbers at a line's end."""
        lines = [line for _, line in sample]
        if len(lines) > 1 and _HEADER.fullmatch(lines[0]):
            lines = lines[1:]
        widths = collections.Counter(map(_trailing_numbers, lines))
        dim = widths.most_common(1)[0][0]
        if dim == 0:
            raise self._fault(
                sample[0][0], "has no numbers after a token", _cut(lines[0])
            )
        return dim

    def _check_header(self, dim):
        if self.dim != dim:
            raise ValueError(
                f"The header of {self._path} says {dim} dimensions, not "
                f"{self.dim}. Received: dim={self.dim}"
            )


def _trailing_numbers(line):
    """How many of a line's pieces are numbers, from its end to its token."""
    count = 0
    for piece in reversed(line.split(b" ")[1:]):
        try:
            float(piece)
        except ValueError:
            break
        count += 1
    return count


def _cut(line):
    return line[:60].decode("utf-8", "replace")
