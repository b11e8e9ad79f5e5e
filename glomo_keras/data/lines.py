"""Reads plain and packed text files of any size line by line."""

import bz2
import gzip
import lzma
import os
import warnings
import zlib

MAX_LINE_BYTES = 1 << 20
UNPACK = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""Functions that open packed files, by the ending of the name."""

_SIGNATURES = {
    b"PK\x03\x04": "a zip archive",
    b"%PDF-": "a PDF document",
    b"{\\rtf": "an RTF document",
    b"\x1f\x8b": "packed by gzip (name it .gz)",
    b"\xfd7zXZ": "packed by xz (name it .xz)",
    b"\x28\xb5\x2f\xfd": "packed by zstandard",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!\x1a": "a RAR archive",
    b"PAR1": "a Parquet table",
    b"ARROW1": "an Arrow table",
}
"""First bytes of files that are not text, whatever their names say."""


class BrokenFile(OSError, ValueError):
    """Reports content that cannot be read as text, however often it is tried.

    The message names the file and says what to do. Files that are missing or
    may not be read, and faults of a disk or a network, are plain `OSError`s.
    """


def raw_lines(path, max_bytes=MAX_LINE_BYTES, report=None, start=0):
    """Reads a file as lines of bytes.

    Args:
        path: str or path. A name that ends in `.gz`, `.bz2` or `.xz` is
            unpacked on the fly.
        max_bytes: int. A longer line is given in pieces of this size, so that
            memory stays bounded. Defaults to a megabyte.
        report: Function that is told how many bytes of the file were read, or
            None. Defaults to None.
        start: int, the byte to start from, where a line begins; 0 for a
            packed file. Defaults to 0.

    Yields:
        bytes, with the line break.

    Raises:
        FileNotFoundError: If there is no such file.
        BrokenFile: If a packed file is damaged, or the file is an archive, a
            document or a table of another program.
    """
    path = os.fspath(path)
    unpack = UNPACK.get(os.path.splitext(path)[1])
    with open(path, "rb") as raw:
        if unpack is None:
            _refuse_binary(path, raw.read(8))
        raw.seek(start)
        file = unpack(raw) if unpack else raw
        while line := _read_line(file, path, max_bytes):
            yield line
            if report is not None:
                report(raw.tell())


def _refuse_binary(path, start):
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            raise BrokenFile(
                f"{path} is {kind} rather than text: unpack or convert it and "
                f"give what is in it. Received: a file that begins {start!r}"
            )


def _read_line(file, path, max_bytes):
    try:
        return file.readline(max_bytes)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        # Only errors of the system, such as of a disk, have a number.
        kind = OSError if getattr(error, "errno", None) else BrokenFile
        raise kind(
            f"{path} cannot be read to its end. Received: {error}"
        ) from error


def placed_lines(
    path, max_bytes=MAX_LINE_BYTES, start=0, stop=None, divides=None
):
    """Reads a text file as lines without their line break, with their places.

    Bytes that are not UTF-8 read as U+FFFD. After the last line a warning
    names the file, the place of the first fault and the number of faults.

    Args:
        path: See `raw_lines`.
        max_bytes: int. A longer line is cut into several at white space.
            Defaults to a megabyte.
        start: See `raw_lines`. Defaults to 0.
        stop: int. Reading ends before the first line that begins at this byte
            or after it. Defaults to None: at the end of the file.
        divides: Function of a line, whether reading may end before it.
            Defaults to None: anywhere.

    Yields:
        `(place, line)`: int, the byte where the line begins, and str. The
        pieces of a line that was cut have the place of the whole line.

    Raises:
        OSError: See `raw_lines`.
        BrokenFile: See `raw_lines`, and if the first line holds a zero byte,
            as a packed file or one in UTF-16.
    """
    first_fault, faults = None, 0
    for place, position, raw in _pieces(path, max_bytes, start):
        if position == 0 and b"\0" in raw:
            raise BrokenFile(
                f"{path}, line 1, is no UTF-8 text (UTF-16, or a packed or "
                "binary file?): unpack or convert it, or leave it out. "
                f"Received: a zero byte at byte {raw.index(0)}"
            )
        line, fault, count = _decode(raw)
        if stop is not None and place >= stop:
            if divides is None or divides(line):
                break
        if count and not faults:
            first_fault = position + fault
        faults += count
        if position == 0:
            line = line.removeprefix("\ufeff")
        yield place, line.rstrip("\r\n")
    if faults:
        warnings.warn(
            f"{path} is not valid UTF-8: first fault at byte {first_fault}, "
            f"{faults} sequences replaced by U+FFFD.",
            stacklevel=2,
        )


def _decode(raw):
    """Returns bytes as str, the place of the first fault, and their number."""
    try:
        return raw.decode("utf-8"), None, 0
    except UnicodeDecodeError as error:
        line = raw.decode("utf-8", "replace")
        count = line.count("\ufffd") - raw.count(b"\xef\xbf\xbd")
        return line, error.start, count


def find_line(path, start):
    """Returns the byte where the first line begins at `start` or after it.

    Args:
        path: str or path, of a file that is not packed.
        start: int.
    """
    with open(path, "rb") as file:
        file.seek(max(start - 1, 0))
        while start and (piece := file.readline(MAX_LINE_BYTES)):
            if piece.endswith(b"\n"):
                break
        return file.tell()


def _pieces(path, max_bytes, start):
    """Yields lines as bytes, cutting the overlong ones.

    Before them stand the bytes where the line and where the piece begin.
    """
    place = position = start
    rest = b""
    for piece in raw_lines(path, max_bytes, start=start):
        piece = rest + piece
        rest = b""
        if len(piece) >= max_bytes and not piece.endswith(b"\n"):
            cut = _cut_position(piece)
            piece, rest = piece[:cut], piece[cut:]
        yield place, position, piece
        position += len(piece)
        if piece.endswith(b"\n"):
            place = position
    if rest:
        yield place, position, rest


def _cut_position(piece):
    """Returns where to cut: after a blank, else between two characters."""
    cut = piece.rfind(b" ") + 1
    if cut:
        return cut
    cut = len(piece)
    while cut > len(piece) - 4 and piece[cut - 1] & 0xC0 == 0x80:
        cut -= 1
    return cut - 1 if piece[cut - 1] >= 0xC0 else len(piece)
