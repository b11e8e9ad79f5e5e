"""Reads text files of any size line by line, with faults in UTF-8 or none."""

import bz2
import gzip
import lzma
import os
import warnings
import zlib

MAX_LINE_BYTES = 1 << 20
"""Longer lines are cut in pieces of about this size, at white space."""
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_lines(path):
    """Yield the lines of a text file without their line break.

    Bytes that are not UTF-8 read as U+FFFD. After the last line a warning
    names the file, the place of the first fault and the number of faults. A
    line of more than a megabyte is cut at white space into several, so that
    memory stays bounded.

    Args:
        path: str; a name that ends in `.gz`, `.bz2` or `.xz` is unpacked on
            the fly.

    Yields:
        str.

    Raises:
        OSError: if a packed file is damaged; the message names it.
        ValueError: if the first line holds a zero byte, as a packed file or
            one in UTF-16.
    """
    position, first_fault, faults = 0, None, 0
    for raw in _pieces(path):
        if position == 0 and b"\0" in raw:
            raise ValueError(
                f"{path} is no UTF-8 text (UTF-16, or a packed or binary "
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


def _pieces(path):
    """Yield the raw lines of a file, the overlong ones cut."""
    opener = OPENERS.get(os.path.splitext(path)[1], open)
    rest = b""
    with opener(path, "rb") as file:
        while piece := _read_line(file, path):
            piece = rest + piece
            rest = b""
            if len(piece) >= MAX_LINE_BYTES and not piece.endswith(b"\n"):
                cut = _cut_position(piece)
                piece, rest = piece[:cut], piece[cut:]
            yield piece
    if rest:
        yield rest


def _read_line(file, path):
    try:
        return file.readline(MAX_LINE_BYTES)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise OSError(
            f"{path} cannot be read to its end. Received: {error}"
        ) from error


def _cut_position(piece):
    """Return where to cut: after a blank, else between two characters."""
    cut = piece.rfind(b" ") + 1
    if cut:
        return cut
    cut = len(piece)
    while cut > len(piece) - 4 and piece[cut - 1] & 0xC0 == 0x80:
        cut -= 1
    return cut - 1 if piece[cut - 1] >= 0xC0 else len(piece)
