"""Splits text files into texts."""

import contextlib
import html
import itertools
import json
import os
import re
import typing
import warnings

from glomo_keras.data import lines as lines_lib
from glomo_keras.utils.validation import check_option

TEXT_UNITS = ("auto", "file", "line", "blank_line")
SMALL_FILE_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 27
"""The longest line of JSON: one article."""

_TITLE = re.compile(r'title="(.*)"\s*>\s*$')
_JSON_START = re.compile(r'\s*(?:\{\s*(?:"|\}|$)|\[\s*(?:\{|"|\[\s*["\d{-]|$))')
_WIKI_FIELDS = {"id", "url", "title", "text"}
_XML_START = re.compile(r"\s*<(?:\?xml|mediawiki|TEI|corpus)\b")
_TABLE_ENDINGS = (".csv", ".tsv")
_TABLE_HEADER = re.compile(r'"?[A-Za-z_]\w*"?(?:([,;\t|])"?[A-Za-z_]\w*"?)+')


class RawText(typing.NamedTuple):
    """A text as it stands in its source.

    Attributes:
        text: str.
        line_breaks: bool, whether a single line break ends a paragraph.
        wiki: bool, whether to expect what MediaWiki and WikiExtractor leave.
    """

    text: str
    line_breaks: bool
    wiki: bool


class TextFile:
    """Reads one file of texts.

    A file of WikiExtractor (it starts with `<doc `, or holds its JSON, one
    object a line) holds one text per article; the line that repeats the title
    is dropped. Any other file is read as `texts` says.

    Args:
        path: str. A name that ends in `.gz`, `.bz2` or `.xz` is unpacked on
            the fly.
        texts: What one text is: `"file"` the whole file, `"line"` each line
            that is not blank, `"blank_line"` each block between blank lines,
            `"auto"` the file if it is under a megabyte on disk, else lines.
            Each text is in memory as a whole while it is cleaned. Defaults to
            `"auto"`.
        wiki: Whether the texts hold markup of MediaWiki; None means: those of
            WikiExtractor do. Defaults to None.

    Raises:
        ValueError: If `texts` is none of these.
    """

    def __init__(self, path, texts="auto", wiki=None):
        check_option("texts", texts, TEXT_UNITS)
        self.path = path
        self.unit = texts
        self.wiki = wiki

    @property
    def name(self):
        """The path, for messages."""
        return self.path

    def signature(self):
        """Returns a list that identifies this state of the file."""
        status = os.stat(self.path)
        return [
            os.path.abspath(self.path),
            self.unit,
            self.wiki,
            status.st_size,
            status.st_mtime_ns,
        ]

    def spans(self, num_bytes):
        """Returns parts of the file that can be read independently.

        Args:
            num_bytes: int, the size of a part. A packed file, and one that is
                a single text, stay whole.

        Returns:
            List of `(start, stop, size)`: the first two for `texts`, the size
            in bytes.
        """
        size = os.path.getsize(self.path)
        packed = os.path.splitext(self.path)[1] in lines_lib.UNPACK
        if size <= num_bytes or packed or self._unit() == "file":
            return [(0, None, size)]
        starts = range(0, size, num_bytes)
        stops = [*starts[1:], None]
        return [
            (start, stop, (stop or size) - start)
            for start, stop in zip(starts, stops, strict=True)
        ]

    def texts(self, start=0, stop=None):
        """Yields the `RawText`s of the file, or of one of its `spans`.

        A line belongs to the span in which it begins; a longer text to the
        span in which the blank line or mark before it begins. Warns when the
        file is empty or holds bytes that are not UTF-8.

        Args:
            start, stop: int or None, of a span, in bytes. Default to the
                whole file.

        Raises:
            BrokenFile: If it holds no plain text: a binary file, a table,
                XML, or JSON of another program than WikiExtractor.
        """
        first, second = self._first_lines()
        if first is None:
            warnings.warn(f"{self.path} is empty and is skipped.", stacklevel=2)
        elif first.startswith("<doc "):
            lines = self._lines(start, stop, _is_document_mark)
            yield from self._wiki(_split_documents(lines))
        elif _is_json(first):
            yield from self._wiki(_read_json(self.path, start, stop))
        else:
            self._refuse_xml(first)
            self._refuse_table(first, second)
            unit = self._unit()
            lines = self._lines(start, stop, _DIVIDERS[unit])
            for text in _SPLITTERS[unit](lines):
                yield RawText(text, False, bool(self.wiki))

    def _first_lines(self):
        """Returns the first line that is not blank, or None, and the next."""
        with contextlib.closing(lines_lib.placed_lines(self.path)) as lines:
            texts = (line for _, line in lines)
            first = next(itertools.dropwhile(_is_blank, texts), None)
            return first, next(texts, "")

    def _lines(self, start, stop, divides):
        """Yields the lines from a span's first divider to the one after it."""
        first = lines_lib.find_line(self.path, start) if start else 0
        lines = lines_lib.placed_lines(
            self.path, start=first, stop=stop, divides=divides
        )
        texts = (line for _, line in lines)
        if not start:
            return texts
        return itertools.dropwhile(lambda line: not divides(line), texts)

    def _wiki(self, texts):
        wiki = self.wiki is not False
        return (RawText(text, True, wiki) for text in texts)

    def _unit(self):
        if self.unit != "auto":
            return self.unit
        small = os.path.getsize(self.path) < SMALL_FILE_BYTES
        return "file" if small else "line"

    def _refuse_xml(self, first):
        if _XML_START.match(first):
            raise lines_lib.BrokenFile(
                f"{self.path} holds XML rather than texts: run WikiExtractor "
                "on a dump of a wiki, or write the texts to a plain file. "
                f"Received: {first[:80]!r}"
            )

    def _refuse_table(self, first, second):
        name, ending = os.path.splitext(self.path)
        if ending in lines_lib.UNPACK:
            ending = os.path.splitext(name)[1]
        header = _TABLE_HEADER.fullmatch(first)
        found = header and second.count(header[1]) >= first.count(header[1])
        if found or ending.lower() in _TABLE_ENDINGS:
            raise lines_lib.BrokenFile(
                f"{self.path} holds a table rather than texts: write its "
                "texts to a file, one a line, and give texts='line'. "
                f"Received: {first[:80]!r}"
            )


def _is_blank(line):
    return not line or line.isspace()


def _is_document_mark(line):
    return line.startswith("<doc ") or line.strip() == "</doc>"


def _split_file(lines):
    yield "\n".join(lines)


def _split_lines(lines):
    return itertools.filterfalse(_is_blank, lines)


def _split_blocks(lines):
    for blank, block in itertools.groupby(lines, _is_blank):
        if not blank:
            yield "\n".join(block)


_SPLITTERS = {
    "file": _split_file,
    "line": _split_lines,
    "blank_line": _split_blocks,
}
_DIVIDERS = {
    "file": lambda line: False,
    "line": lambda line: True,
    "blank_line": _is_blank,
}
"""Whether a new text may begin at a line, or after it."""


def _split_documents(lines):
    """Yields the texts of WikiExtractor's documents, without their titles."""
    block, title = [], None
    for line in lines:
        if _is_document_mark(line):
            if block:
                yield "\n".join(block)
            match = _TITLE.search(line)
            block, title = [], match and html.unescape(match[1])
        elif title and line.strip() == title.strip():
            title = None
        elif not _is_blank(line):
            block.append(line)
            title = None
    if block:
        yield "\n".join(block)


def _is_json(line):
    """Returns whether a first line begins an object or an array of JSON."""
    if _JSON_START.match(line):
        return True
    try:
        value = json.loads(line) if line.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and len(value) > 1


def _read_json(path, start, stop):
    """Yields the texts of WikiExtractor's JSON, without their titles."""
    first = lines_lib.find_line(path, start) if start else 0
    lines = lines_lib.placed_lines(path, MAX_JSON_BYTES, first, stop)
    for number, (place, line) in enumerate(lines, 1):
        if _is_blank(line):
            continue
        try:
            article = json.loads(line)
        except (ValueError, RecursionError):
            article = None
        known = isinstance(article, dict) and article.keys() >= _WIKI_FIELDS
        if not known or not isinstance(article["text"], str):
            where = f"byte {place}" if start else f"line {number}"
            raise lines_lib.BrokenFile(
                f"{path}, {where}: JSON is read from WikiExtractor "
                f"alone, one object a line with {sorted(_WIKI_FIELDS)}. Run "
                "it without --json, or write the texts to a plain file. "
                f"Received: {line[:80]!r}"
            )
        title, _, rest = article["text"].partition("\n")
        repeats = title.strip() == str(article["title"]).strip()
        text = rest if repeats else article["text"]
        # JSON may hold half a surrogate pair, which is no character.
        yield text.encode("utf-8", "replace").decode("utf-8")
