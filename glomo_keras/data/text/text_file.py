"""Text files as sources of texts: what one text is, and how it is found."""

import html
import itertools
import json
import os
import re
import typing
import warnings

from glomo_keras.data import lines as lines_lib

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
    """One file of texts.

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
        if texts not in TEXT_UNITS:
            raise ValueError(
                f"`texts` is one of {TEXT_UNITS}. Received: texts={texts!r}"
            )
        self.path = path
        self.unit = texts
        self.wiki = wiki

    @property
    def name(self):
        """The path, for messages."""
        return self.path

    def signature(self):
        """Returns what distinguishes this state of the file from any other."""
        status = os.stat(self.path)
        return [
            os.path.abspath(self.path),
            self.unit,
            self.wiki,
            status.st_size,
            status.st_mtime_ns,
        ]

    def texts(self):
        """Yields the `RawText`s of the file.

        Warns when the file is empty or holds bytes that are not UTF-8.

        Raises:
            ValueError: If it holds no plain text: a binary file, a table,
                XML, or JSON of another program than WikiExtractor.
        """
        lines = lines_lib.read_lines(self.path)
        lines = itertools.dropwhile(_is_blank, lines)
        first = next(lines, None)
        if first is None:
            warnings.warn(f"{self.path} is empty and is skipped.", stacklevel=2)
        elif first.startswith("<doc "):
            yield from self._wiki(_split_documents(_chain(first, lines)))
        elif _is_json(first):
            yield from self._wiki(_read_json(self.path))
        else:
            second = next(lines, "")
            self._refuse_xml(first)
            self._refuse_table(first, second)
            lines = _chain(first, second, lines)
            for text in _SPLITTERS[self._unit()](lines):
                yield RawText(text, False, bool(self.wiki))

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
            raise ValueError(
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
            raise ValueError(
                f"{self.path} holds a table rather than texts: write its "
                "texts to a file, one a line, and give texts='line'. "
                f"Received: {first[:80]!r}"
            )


def _chain(*parts):
    """Puts lines in front of an iterator of lines."""
    *lines, rest = parts
    return itertools.chain(lines, rest)


def _is_blank(line):
    return not line or line.isspace()


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


def _split_documents(lines):
    """Yields the texts of WikiExtractor's documents, without their titles."""
    block, title = [], None
    for line in lines:
        if line.startswith("<doc ") or line.strip() == "</doc>":
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
    """Whether a first line begins an object or an array of JSON."""
    if _JSON_START.match(line):
        return True
    try:
        value = json.loads(line) if line.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and len(value) > 1


def _read_json(path):
    """Yields the texts of WikiExtractor's JSON, without their titles."""
    lines = lines_lib.read_lines(path, MAX_JSON_BYTES)
    for number, line in enumerate(lines, 1):
        if _is_blank(line):
            continue
        try:
            article = json.loads(line)
        except (ValueError, RecursionError):
            article = None
        known = isinstance(article, dict) and article.keys() >= _WIKI_FIELDS
        if not known or not isinstance(article["text"], str):
            raise ValueError(
                f"{path}, line {number}: JSON is read from WikiExtractor "
                f"alone, one object a line with {sorted(_WIKI_FIELDS)}. Run "
                "it without --json, or write the texts to a plain file. "
                f"Received: {line[:80]!r}"
            )
        title, _, rest = article["text"].partition("\n")
        repeats = title.strip() == str(article["title"]).strip()
        yield rest if repeats else article["text"]
