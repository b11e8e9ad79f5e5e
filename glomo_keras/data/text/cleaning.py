"""Turns marked-up text into plain paragraphs."""

import html
import re

_NAME = r"[A-Za-z_:][\w:.-]*"
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+)"
# Attributes that stand without a value.
_FLAG = (
    r"(?:allowfullscreen|alt|async|autofocus|autoplay|border|checked|class|clear"
    r"|compact|controls|data-[\w-]+|default|defer|disabled|download|hidden|inert"
    r"|ismap|itemscope|loop|multiple|muted|nohref|noresize|noshade|novalidate"
    r"|nowrap|open|playsinline|readonly|required|reversed|selected)"
)
_ATTRIBUTES = rf"(?:\s+(?:{_NAME}\s*=\s*{_VALUE}|{_FLAG}(?=[\s/>])))*"
_BLOCK_NAMES = (
    "address|article|aside|blockquote|body|caption|center|dd|details|dialog|div"
    "|dl|doc|dt|fieldset|figcaption|figure|footer|form|h[1-6]|head|header"
    "|hgroup|html|legend|li|main|nav|ol|optgroup|option|p|pre|section|select"
    "|summary|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul"
)
_OTHER_NAMES = (
    "a|abbr|acronym|audio|b|bdi|bdo|big|button|canvas|cite|code|col|colgroup|del|dfn"
    "|em|font|i|iframe|img|input|ins|kbd|label|link|map|mark|meta|nobr|noscript"
    "|object|picture|q|rp|rt|ruby|s|samp|script|small|source|span|strike|strong"
    "|style|sub|sup|svg|time|tt|u|var|video|wbr"
)
_TAG = re.compile(rf"</?[A-Za-z][\w:-]*{_ATTRIBUTES}\s*/?>")
_KNOWN_TAG = re.compile(
    rf"</?(?:{_OTHER_NAMES}){_ATTRIBUTES}\s*/?>", flags=re.IGNORECASE
)
_BREAK_TAG = re.compile(
    rf"</?(?:br|hr)\b{_ATTRIBUTES}\s*/?>", flags=re.IGNORECASE
)
_BLOCK_TAG = re.compile(
    rf"</?(?:{_BLOCK_NAMES})\b{_ATTRIBUTES}\s*/?>", flags=re.IGNORECASE
)
_COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
_DECLARATION = re.compile(
    r"<!DOCTYPE\s[^<>]*>|<\?xml\s[^<>]*\?>", flags=re.IGNORECASE
)
_EMPTY_REFERENCE = re.compile(rf"<ref{_ATTRIBUTES}\s*/>", flags=re.IGNORECASE)


def _element(names):
    """Returns a pattern of elements whose content is not text."""
    return re.compile(
        rf"<({names})\b[^<>]*>(?:(?!<\1\b).)*?</\1\s*>",
        flags=re.DOTALL | re.IGNORECASE,
    )


_HIDDEN_ELEMENT = _element("script|style")
_HIDDEN_WIKI_ELEMENT = _element(
    "ref|math|gallery|timeline|imagemap|script|style|score|chem"
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
_INVISIBLE = re.compile("[\xad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")

_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_TABLE = re.compile(r"\{\|.*?\|\}", flags=re.DOTALL)
_TABLE_ROW = re.compile(r"^[^\S\n]*[!|].*\|.*$", flags=re.MULTILINE)
_STRAY = re.compile(r"\[\[|\]\]|\{\{|\}\}|-->")
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_MEDIA_LINK = re.compile(
    r"\s*:?(?:file|image|category|media)\s*:", flags=re.IGNORECASE
)
_WEB_LINK = re.compile(r"\[(?:https?:|ftp:)?//[^\s\[\]]++\s*+([^\[\]]*+)\]")
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


# Scripts that are written without spaces between words: Thai, Lao, Tibetan,
# Myanmar, Khmer, kana, Bopomofo, Han, Yi.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u312f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def clean_paragraphs(text, min_words=0, line_breaks=True, wiki=False):
    """Removes markup and returns the paragraphs of plain text.

    Removed are the tags and comments of HTML, and its entities are replaced by
    what they stand for; what an entity spells out (`&lt;li&gt;`) is text, and
    so is a tag that HTML does not have (`<unk>`).

    With `wiki` all tags go, and so does what MediaWiki and WikiExtractor leave
    (links keep their label; templates, tables, references, headings,
    `__TOC__`, brackets that have become empty, `formula_1`), and the marks of
    TFDS's wiki40b.

    Args:
        text: str.
        min_words: int. Paragraphs of fewer words are dropped. Words are runs
            without white space, or single characters in scripts that are
            written without spaces. Defaults to 0.
        line_breaks: Whether a single line break (or `<br>`) ends a paragraph;
            otherwise it takes an empty line (or two `<br>`). Defaults to
            True.
        wiki: Whether the text is from a wiki. Defaults to False.

    Returns:
        List of str, none of them empty or with a line break.

    Example:

    >>> clean_paragraphs("A <b>bold</b> claim.\\n\\nIf a &lt; b")
    ['A bold claim.', 'If a < b']
    >>> clean_paragraphs("A [[word|claim]] ().", wiki=True)
    ['A claim.']
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _INVISIBLE.sub("", text)
    text = _clean_wiki_html(text) if wiki else _clean_html(text)
    text = _INVISIBLE.sub("", text)  # entities, too
    text = _clean_wiki(text) if wiki else text
    pieces = text.split("\n") if line_breaks else re.split(r"\n\s*\n", text)
    paragraphs = (" ".join(piece.split()) for piece in pieces)
    least = max(1, min_words)
    return [p for p in paragraphs if p and _has_words(p, least)]


def _has_words(paragraph, least):
    if paragraph.count(" ") + 1 >= least:
        return True
    if not _UNSPACED_CHARACTER.search(paragraph):
        return False
    return len(_WORD.findall(paragraph)) >= least


def _clean_html(text):
    if "<" in text:
        text = _COMMENT.sub("", text) if "-->" in text else text
        text = _DECLARATION.sub("", text)
        text = _HIDDEN_ELEMENT.sub("", text)
        text = _BREAK_TAG.sub("\n", text)
        text = _BLOCK_TAG.sub("\n\n", text)
        text = _KNOWN_TAG.sub("", text)
    if "&" in text:
        # Not `html.unescape` of the whole: it also reads `&copy=1`.
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text


def _clean_wiki_html(text):
    text = _clean_wiki_tags(text)
    if "&" in text:  # WikiExtractor escapes what is left of HTML
        text = _clean_wiki_tags(html.unescape(text))
    return text


def _clean_wiki_tags(text):
    if "<" not in text:
        return text
    text = _COMMENT.sub("", text) if "-->" in text else text
    text = _DECLARATION.sub("", text)
    text = _EMPTY_REFERENCE.sub("", text)
    text = _HIDDEN_WIKI_ELEMENT.sub("", text)
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
    """Replaces from the inside out, because links and templates nest."""
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
