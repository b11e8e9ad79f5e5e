"""Reads plain and packed text files of any size line by line."""

import bz2
import gzip
import lzma
import os
import warnings
import zlib

MAX_LINE_BYTES = 1 << 20
UNPACK = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""How a file is unpacked, by the ending of its name."""


def raw_lines(path, max_bytes=MAX_LINE_BYTES, report=None):
    """Reads a file as lines of bytes.

    Args:
        path: str or path. A name that ends in `.gz`, `.bz2` or `.xz` is
            unpacked on the fly.
        max_bytes: int. A longer line is given in pieces of this size, so that
            memory stays bounded. Defaults to a megabyte.
        report: Function that is told how many bytes of the file were read, or
            None. Defaults to None.

    Yields:
        bytes, with the line break.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If a packed file is damaged.
        ValueError: If the file is a zip archive.
    """
    path = os.fspath(path)
    unpack = UNPACK.get(os.path.splitext(path)[1])
    with open(path, "rb") as raw:
        if raw.read(4) == b"PK\x03\x04":
            raise ValueError(
                f"{path} is a zip archive rather than text: unpack it and "
                "give what is in it."
            )
        raw.seek(0)
        file = unpack(raw) if unpack else raw
        while line := _read_line(file, path, max_bytes):
            yield line
            if report is not None:
                report(raw.tell())


def _read_line(file, path, max_bytes):
    try:
        return file.readline(max_bytes)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise OSError(
            f"{path} cannot be read to its end. Received: {error}"
        ) from error


def read_lines(path, max_bytes=MAX_LINE_BYTES):
    """Reads a text file as lines without their line break.

    Bytes that are not UTF-8 read as U+FFFD. After the last line a warning
    names the file, the place of the first fault and the number of faults.

    Args:
        path: See `raw_lines`.
        max_bytes: int. A longer line is cut into several at white space.
            Defaults to a megabyte.

    Yields:
        str.

    Raises:
        OSError: See `raw_lines`.
        ValueError: See `raw_lines`, and if the first line holds a zero byte,
            as a packed file or one in UTF-16.
    """
    position, first_fault, faults = 0, None, 0
    for raw in _pieces(path, max_bytes):
        if position == 0 and b"\0" in raw:
            raise ValueError(
                f"{path}, line 1: no UTF-8 text (UTF-16, or a packed or binary "
                "file?): unpack or convert it, or leave it out. "
                f"Received: a zero byte at byte {raw.index(0)}"
            )
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.decode("utf-8", "replace")
            faults += line.count("\ufffd") - raw.count(b"\xef\xbf\xbd")
            if first_fault is None:
                first_fault = position + error.start
        if position == 0:
            line = line.removeprefix("\ufeff")
        position += len(raw)
        yield line.rstrip("\r\n")
    if faults:
        warnings.warn(
            f"{path} is not valid UTF-8: first fault at byte {first_fault}, "
            f"{faults} sequences replaced by U+FFFD.",
            stacklevel=2,
        )


def _pieces(path, max_bytes):
    """Yields the lines of a file as bytes, cutting the overlong ones."""
    rest = b""
    for piece in raw_lines(path, max_bytes):
        piece = rest + piece
        rest = b""
        if len(piece) >= max_bytes and not piece.endswith(b"\n"):
            cut = _cut_position(piece)
            piece, rest = piece[:cut], piece[cut:]
        yield piece
    if rest:
        yield rest


def _cut_position(piece):
    """Returns where to cut: after a blank, else between two characters."""
    cut = piece.rfind(b" ") + 1
    if cut:
        return cut
    cut = len(piece)
    while cut > len(piece) - 4 and piece[cut - 1] & 0xC0 == 0x80:
        cut -= 1
    return cut - 1 if piece[cut - 1] >= 0xC0 else len(piece)
