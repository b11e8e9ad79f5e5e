"""Tokens as labels: any string made short and drawable, and its size."""

import functools

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

MAX_CHARACTERS = 18
DPI = 150  # of measuring and drawing: hinting makes sizes depend on it
MISSING = "\N{WHITE SQUARE}"
BASE_FONT = "DejaVu Sans"  # comes with matplotlib
# Fonts that cover scripts which the base font lacks, where installed.
WIDE_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Noto Sans Devanagari",
    "Noto Emoji",
)


@functools.cache
def font_families():
    """The base font, then the wide fonts of this machine: a tuple of names."""
    installed = set(font_manager.get_font_names())
    return (BASE_FONT, *(name for name in WIDE_FONTS if name in installed))


@functools.cache
def _drawable():
    """Code points for which there is a glyph."""
    files = [font_manager.findfont(name) for name in font_families()]
    charmaps = [font_manager.get_font(file).get_charmap() for file in files]
    return frozenset().union(*charmaps)


def _drawable_character(character, keep):
    if character in keep:
        return character
    if character == " ":
        return "\N{OPEN BOX}"
    if not character.isprintable():
        return character.encode("unicode_escape").decode("ascii")
    return character if ord(character) in _drawable() else MISSING


def drawable(text, keep=""):
    """The text with only characters that there are glyphs for.

    Spaces become open boxes and control characters their escapes; what no
    font has becomes a white square. Characters in `keep` stay as they are.

    Example:

    >>> drawable("a b\\n")
    'a␣b\\\\n'
    """
    return "".join(_drawable_character(character, keep) for character in text)


def shorten(text, length=MAX_CHARACTERS):
    """The text, cut to `length` characters with an ellipsis as the last.

    Example:

    >>> shorten("internationalization", 8)
    'interna…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def token_labels(tokens):
    """Labels for tokens: strings, or UTF-8 bytes as TensorFlow gives them."""
    texts = [
        token.decode("utf-8", "replace") if isinstance(token, bytes) else token
        for token in tokens
    ]
    return [shorten(drawable(str(text))) for text in texts]


def font(size):
    """The font of all labels, `size` in points."""
    return FontProperties(family=list(font_families()), size=size)


def text_sizes(texts, size):
    """Width and height in inches of each text, on one or more lines."""
    figure = Figure(dpi=DPI)
    renderer = FigureCanvasAgg(figure).get_renderer()
    text = figure.text(0, 0, "", fontproperties=font(size), parse_math=False)
    sizes = []
    for string in texts:
        text.set_text(string)
        box = text.get_window_extent(renderer)
        sizes.append((box.width / figure.dpi, box.height / figure.dpi))
    return sizes


def largest_size(texts, size):
    """Width of the widest and height of the highest text, in inches."""
    widths, heights = zip(*text_sizes(texts, size), strict=True)
    return max(widths), max(heights)
