"""Labels of tokens: short strings that a font can draw."""

import functools

from matplotlib import font_manager

from glomo_keras.utils.graph_arrays import token_text

MAX_CHARACTERS = 18
MISSING = "\N{WHITE SQUARE}"
# DejaVu comes with matplotlib; the others cover scripts that it lacks.
FONTS = (
    "DejaVu Sans",
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
    """Returns the names of those `FONTS` that are installed."""
    installed = font_manager.get_font_names()
    return tuple(name for name in FONTS if name in installed)


@functools.cache
def _characters():
    """Code points for which one of the fonts has a glyph."""
    files = [font_manager.findfont(name) for name in font_families()]
    charmaps = [font_manager.get_font(file).get_charmap() for file in files]
    return frozenset().union(*charmaps)


def drawable(text, keep=""):
    """Replaces characters that cannot be seen or that no font has.

    A space becomes an open box, a control character its escape, a character
    without a glyph a white square.

    Args:
        text: string.
        keep: string of characters to leave as they are. Defaults to none.

    Example:

    >>> drawable("a b\\n")
    'a␣b\\\\n'
    """

    def shown(character):
        if character in keep:
            return character
        if character == " ":
            return "\N{OPEN BOX}"
        if not character.isprintable():
            return character.encode("unicode_escape").decode("ascii")
        return character if ord(character) in _characters() else MISSING

    return "".join(map(shown, text))


def shorten(text, length=MAX_CHARACTERS):
    """Cuts a text to `length` characters, the last of them an ellipsis.

    Example:

    >>> shorten("internationalization", 8)
    'interna…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def token_labels(tokens):
    """Returns a label for each token, a string or UTF-8 bytes."""
    return [shorten(drawable(token_text(token))) for token in tokens]
