"""Turns marked-up text into plain paragraphs."""

import html
import re

_NAME = r"[A-Za-z_:][\w:.-]*"
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+)"
_ATTRIBUTES = rf"(?:\s+{_NAME}\s*=\s*{_VALUE})*"
_TAG = re.compile(rf"</?[A-Za-z][\w:-]*{_ATTRIBUTES}\s*/?>")
_BREAK_TAG = re.compile(
    rf"</?(?:br|hr)\b{_ATTRIBUTES}\s*/?>", flags=re.IGNORECASE
)
_BLOCK_TAG = re.compile(
    r"</?(?:p|div|li|ul|ol|dl|dd|dt|table|tr|td|th|h[1-6]|blockquote|section"
    rf"|article|doc)\b{_ATTRIBUTES}\s*/?>",
    flags=re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
_EMPTY_REFERENCE = re.compile(rf"<ref{_ATTRIBUTES}\s*/>", flags=re.IGNORECASE)
_HIDDEN_ELEMENT = re.compile(
    r"<(ref|math|gallery|timeline|imagemap|script|style|score|chem)\b[^<>]*>"
    r"(?:(?!<\1\b).)*?</\1\s*>",
    flags=re.DOTALL | re.IGNORECASE,
)
_INVISIBLE = re.compile("[\xad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")

_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_TABLE = re.compile(r"\{\|.*?\|\}", flags=re.DOTALL)
_TABLE_ROW = re.compile(r"^[^\S\n]*[!|].*\|.*$", flags=re.MULTILINE)
_STRAY = re.compile(r"\[\[|\]\]|\{\{|\}\}|-->")
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_MEDIA_LINK = re.compile(
    r"\s*:?(?:file|image|category|media)\s*:", flags=re.IGNORECASE
)
_WEB_LINK = re.compile(r"\[(?:https?:|ftp:)?//[^\s\]]++\s*+([^\[\]]*+)\]")
_QUOTES = re.compile("'{2,5}")
_SWITCH = re.compile(r"__[A-Z]{3,}__")
_HEADING = re.compile(
    r"^[^\S\n]*(={2,6})[^=\n].*?\1[^\S\n]*$", flags=re.MULTILINE
)
_BULLET = re.compile(r"^[^\S\n]*[*#:;]+[^\S\n]+", flags=re.MULTILINE)
_PLACEHOLDER = re.compile(r"\b(?:formula|codice)_\d+")
_TITLE_MARK = re.compile(
    r"^_START_(?:ARTICLE|SECTION)_[^\S\n]*\n[^\n]*", flags=re.MULTILINE
)
_BREAK_MARK = re.compile(r"_START_PARAGRAPH_|_NEWLINE_")

# Runs are bounded and never start with `\s*`: a file may be all white space.
_EMPTY_BRACKETS = re.compile(r"\s?(?:\([\s,;:–-]{0,20}\)|\[\s{0,20}\])")
_BRACKET_START = re.compile(r"\(\s{0,20}(?:[,;]\s{0,20})+")
_BRACKET_END = re.compile(r"\s?(?:,[\s,]{0,20}|;\s{1,20})\)")


def clean_paragraphs(text, min_words=0, line_breaks=True):
    """Remove markup and return the paragraphs of plain text.

    Removed: HTML tags, comments and entities; what MediaWiki and
    WikiExtractor leave behind (links keep their label, templates, tables,
    references, headings, `__TOC__`, brackets that have become empty,
    `formula_1`); the marks of TFDS's wiki40b. A `<` that opens no tag stays.

    Args:
        text: str.
        min_words: int. Paragraphs of fewer words (runs without white space)
            are dropped.
        line_breaks: bool. Whether a single line break (or `<br>`) ends a
            paragraph; otherwise it takes an empty line (or two `<br>`).

    Returns:
        List of str, none of them empty or with a line break.

    Example:

    >>> clean_paragraphs("A <b>bold</b> [[word|claim]] ().\\n\\nIf a &lt; b")
    ['A bold claim.', 'If a < b']
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _INVISIBLE.sub("", text)
    if "<" in text or "&" in text:
        text = _clean_html(text)
    text = _clean_wiki(text)
    pieces = text.split("\n") if line_breaks else re.split(r"\n\s*\n", text)
    paragraphs = (" ".join(piece.split()) for piece in pieces)
    least = max(1, min_words)
    return [p for p in paragraphs if p.count(" ") + 1 >= least and p]


def _clean_html(text):
    text = _clean_tags(text)
    if "&" in text:
        text = _clean_tags(html.unescape(text))
    return text


def _clean_tags(text):
    if "<" not in text:
        return text
    text = _COMMENT.sub("", text) if "-->" in text else text
    text = _EMPTY_REFERENCE.sub("", text)
    text = _HIDDEN_ELEMENT.sub("", text)
    text = _BREAK_TAG.sub("\n", text)
    text = _BLOCK_TAG.sub("\n\n", text)
    return _TAG.sub("", text)


def _clean_wiki(text):
    if "{" in text:
        text = _until_stable(_TEMPLATE, "", text)
        text = _TABLE.sub("", text) if "|}" in text else text
    if "|" in text:
        text = _TABLE_ROW.sub("", text)
    if "[" in text:
        text = _until_stable(_LINK, _link_label, text)
        text = _WEB_LINK.sub(r"\1", text)
    if "_" in text:
        text = _TITLE_MARK.sub("\n", text)
        text = _BREAK_MARK.sub("\n", text)
        text = _SWITCH.sub("", text)
        text = _PLACEHOLDER.sub("", text)
    if "==" in text:
        text = _HEADING.sub("", text)
    text = _QUOTES.sub("", text) if "''" in text else text
    text = _STRAY.sub("", text)
    return _clean_brackets(_BULLET.sub("", text))


def _clean_brackets(text):
    if "(" not in text and "[" not in text:
        return text
    text = _BRACKET_START.sub("(", text)
    text = _BRACKET_END.sub(")", text)
    return _EMPTY_BRACKETS.sub("", text)


def _until_stable(pattern, replacement, text, rounds=8):
    """Replace from the inside out: links and templates nest."""
    for _ in range(rounds):
        text, count = pattern.subn(replacement, text)
        if not count:
            break
    return text


def _link_label(match):
    content = match.group(1)
    if _MEDIA_LINK.match(content):
        return ""
    return content.rsplit("|", 1)[-1].lstrip("#:")
