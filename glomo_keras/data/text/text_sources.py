"""Text files as sources of texts: what one text is, and how it is found."""

import html
import os
import re
import warnings

from glomo_keras.data.text.text_lines import read_lines

TEXT_UNITS = ("auto", "file", "line", "blank_line")
SMALL_FILE_BYTES = 1 << 20

_TITLE = re.compile(r'title="(.*)"\s*>\s*$')


class TextFile:
    """One file of texts.

    A WikiExtractor file (it starts with `<doc `) holds one text per `<doc>`;
    its line breaks end paragraphs, and the line that repeats the title is
    dropped. Any other file is read as `texts` says.

    Args:
        path: str. A name that ends in `.gz`, `.bz2` or `.xz` is unpacked on
            the fly.
        texts: what one text is: `"file"` the whole file, `"line"` each line
            that is not blank, `"blank_line"` each block between blank lines,
            `"auto"` the file if it is under a megabyte on disk, else lines.
            Each text is in memory as a whole while it is cleaned.

    Raises:
        ValueError: if `texts` is none of these.
    """

    def __init__(self, path, texts="auto"):
        if texts not in TEXT_UNITS:
            raise ValueError(
                f"`texts` is one of {TEXT_UNITS}. Received: texts={texts!r}"
            )
        self.path = path
        self.unit = texts

    @property
    def name(self):
        """The path, for messages."""
        return self.path

    def signature(self):
        """Return what tells this state of the file from any other."""
        status = os.stat(self.path)
        return [
            os.path.abspath(self.path),
            self.unit,
            status.st_size,
            status.st_mtime_ns,
        ]

    def texts(self):
        """Yield `(text, line_breaks)`: the raw text, and whether a single
        line break ends a paragraph in it.

        Warns when the file is empty or holds bytes that are no UTF-8.

        Raises:
            ValueError: if it is no text, or texts in JSON.
        """
        empty = True
        for text in self._split(_skip_blank(read_lines(self.path))):
            empty = False
            yield text
        if empty:
            warnings.warn(f"{self.path} is empty and is skipped.", stacklevel=2)

    def _split(self, lines):
        first = next(lines, None)
        if first is None:
            return
        lines = _chain(first, lines)
        if first.startswith("<doc "):
            yield from ((text, True) for text in _split_documents(lines))
            return
        if first.startswith('{"') and '"text"' in first:
            raise ValueError(
                f"{self.path} holds objects in JSON rather than texts: run "
                "WikiExtractor without --json, or write the texts out. "
                f"Received: {first[:80]!r}"
            )
        split = _SPLITTERS[self._unit()]
        yield from ((text, False) for text in split(lines))

    def _unit(self):
        if self.unit != "auto":
            return self.unit
        small = os.path.getsize(self.path) < SMALL_FILE_BYTES
        return "file" if small else "line"


def _chain(first, lines):
    yield first
    yield from lines


def _skip_blank(lines):
    started = False
    for line in lines:
        started = started or not (not line or line.isspace())
        if started:
            yield line


def _split_file(lines):
    yield "\n".join(lines)


def _split_lines(lines):
    return (line for line in lines if line and not line.isspace())


def _split_blocks(lines):
    block = []
    for line in lines:
        if line and not line.isspace():
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)


def _split_documents(lines):
    """Yield the texts of WikiExtractor documents, without their titles."""
    block, title = [], None
    for line in lines:
        if line.startswith("<doc ") or line.strip() == "</doc>":
            if block:
                yield "\n".join(block)
            match = _TITLE.search(line)
            block, title = [], match and html.unescape(match[1])
        elif title and line.strip() == title.strip():
            title = None
        elif line and not line.isspace():
            block.append(line)
            title = None
    if block:
        yield "\n".join(block)


_SPLITTERS = {
    "file": _split_file,
    "line": _split_lines,
    "blank_line": _split_blocks,
}
