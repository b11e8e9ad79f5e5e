import pytest

from glomo_keras.analysis.labels import MAX_CHARACTERS
from glomo_keras.analysis.labels import MISSING
from glomo_keras.analysis.labels import drawable
from glomo_keras.analysis.labels import shorten
from glomo_keras.analysis.labels import token_labels


def test_drawable_leaves_common_text_alone():
    assert drawable("naïve-Über½λЖ…$x$") == "naïve-Über½λЖ…$x$"


def test_drawable_shows_spaces_and_control_characters():
    assert drawable(" \t\n\x00") == "␣\\t\\n\\x00"


def test_drawable_keeps_what_it_is_told_to():
    assert drawable("a b\n", keep=" \n") == "a b\n"


def test_drawable_replaces_a_missing_glyph_by_a_square():
    assert drawable("a\U00012000") == "a" + MISSING


def test_drawable_escapes_a_lone_surrogate():
    assert drawable("\ud800") == "\\ud800"


@pytest.mark.parametrize(
    "text, short", [("abcd", "abcd"), ("abcde", "abc…"), ("", "")]
)
def test_shorten_cuts_with_an_ellipsis(text, short):
    assert shorten(text, 4) == short


def test_token_labels_are_short_and_decode_bytes():
    labels = token_labels(["x" * 25, "né".encode(), b"\xff", 7])
    assert labels[0] == "x" * (MAX_CHARACTERS - 1) + "…"
    assert labels[1:3] == ["né", "\N{REPLACEMENT CHARACTER}"]
    assert labels[3] == "7"
