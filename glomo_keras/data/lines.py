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
"""How files begin that are no text, whatever their names say."""


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
        ValueError: If the file is an archive, a document or a table of
            another program.
    """
    path = os.fspath(path)
    unpack = UNPACK.get(os.path.splitext(path)[1])
    with open(path, "rb") as raw:
        if unpack is None:
            _refuse_binary(path, raw.read(8))
        raw.seek(0)
        file = unpack(raw) if unpack else raw
        while line := _read_line(file, path, max_bytes):
            yield line
            if report is not None:
                report(raw.tell())


def _refuse_binary(path, start):
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            raise ValueError(
                f"{path} is {kind} rather than text: unpack or convert it and "
                f"give what is in it. Received: a file that begins {start!r}"
            )


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
                f"{path}, line 1, is no UTF-8 text (UTF-16, or a packed or "
                "binary file?): unpack or convert it, or leave it out. "
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
