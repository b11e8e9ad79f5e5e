"""Markup goes, prose stays."""

import time

import pytest

from glomo_keras.data import clean_paragraphs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good <b>bold</b> <a href='x y' rel=z>link</a>", "good bold link"),
        ("if a < b and c > d", "if a < b and c > d"),
        ("x <y, z> and <3 :)", "x <y, z> and <3 :)"),
        ("AT&amp;T &lt;br&gt; &quot;x&quot; &amp;", 'AT&T\n"x" &'),
        ("[[Paris]] and [[a|b]] [[File:x.jpg|thumb|a [[b]]]]", "Paris and b"),
        ("one {{cite|{{x}}|y}} two {| table\n|- |} three", "one two three"),
        ('a<ref name="x" /> b<ref>see {{x}} c</ref> d', "a b d"),
        ("<doc id=1 title='x'>\nbody\n</doc>", "body"),
        ("__TOC__ text __NOEDITSECTION__", "text"),
        ("Foo () and (, bar) and (; b 1950) [ ]", "Foo and (bar) and (b 1950)"),
        ("smile ;) and ( a, b )", "smile ;) and ( a, b )"),
        ("'''Bold''' and ''slanted''", "Bold and slanted"),
        ("== Heading ==\ntext", "text"),
        ("* item\n# other", "item\nother"),
        ('! colspan=3 style="x"| Games\ntext', "text"),
        ("see [http://x.org the site] now", "see the site now"),
        ("a formula_12 b", "a b"),
        ("a <!-- note\n --> b", "a b"),
        ("so\xadft zero\u200bwidth\ufeff\u00a0nbsp", "soft zerowidth nbsp"),
        ("\n_START_ARTICLE_\nTitle\n_START_PARAGRAPH_\nA b._NEWLINE_C.",
         "A b.\nC."),
        ("", ""),
        (" \n\t\r\n", ""),
    ],
)  # fmt: skip
def test_markup_of_a_wiki_is_removed(text, expected):
    assert clean_paragraphs(text, wiki=True) == [
        p for p in expected.split("\n") if p
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good <b>bold</b> <a href='x y' rel=z>link</a>", "good bold link"),
        ("one<br />two<p class=x>three</p>", "one\ntwo\nthree"),
        ("a <!-- note\n --> b<style>p {}</style>", "a b"),
        ("so\xadft zero\u200bwidth\ufeff\u00a0nbsp", "soft zerowidth nbsp"),
        ("AT&amp;T &#65;&#x42; &quot;x&quot;", 'AT&T AB "x"'),
        ("the <unk> of the old city", "the <unk> of the old city"),
        ("a vector<int> of <T>", "a vector<int> of <T>"),
        ("<!DOCTYPE html>a <b hidden class=x>b</b>", "a b"),
        ('<?xml version="1.0"?>a <img alt data-x-y src=z> b', "a b"),
        ("a<TD NOWRAP>b<input type=radio checked/>c", "a\nbc"),
        (
            "if a <i and j> 3, <b open-minded>",
            "if a <i and j> 3, <b open-minded>",
        ),
        ("Each &lt;li&gt; element", "Each <li> element"),
        ("<title>a</title><body><main>b</main><footer>c", "a\nb\nc"),
        ("<select><option>a</option><option selected>b</option>", "a\nb"),
        ("<p\u200b>a</p> <button>b</button> c", "a\nb c"),
        ("Donau&shy;dampf&#8203;schiff", "Donaudampfschiff"),
        ("see ?a=1&copy=2&lang=en", "see ?a=1&copy=2&lang=en"),
        ("``yes'' f() a[[1]] {{x}} |a|", "``yes'' f() a[[1]] {{x}} |a|"),
        ("* item\n== x ==\n__TOC__", "* item\n== x ==\n__TOC__"),
    ],
)
def test_plain_text_loses_html_alone(text, expected):
    assert clean_paragraphs(text) == expected.split("\n")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("我今天去学校。", True),
        ("ฉันไปโรงเรียน", True),
        ("日本 です", False),
        ("one two three four 北", True),
        ("onetwothreefourfive", False),
    ],
)
def test_words_of_scripts_without_spaces_are_their_characters(text, kept):
    assert clean_paragraphs(text, min_words=5) == [text] * kept


def test_line_breaks_inside_paragraphs_are_joined_on_request():
    text = "hard\nwrapped\n\nnext<br />line<br /><br />last"
    paragraphs = clean_paragraphs(text, line_breaks=False)
    assert paragraphs == ["hard wrapped", "next line", "last"]


def test_short_paragraphs_are_dropped():
    text = "History.\nOne two three four five.\nOne two three four."
    assert clean_paragraphs(text, min_words=5) == ["One two three four five."]


@pytest.mark.parametrize(
    "unit",
    [" ", "\n", "(", "[", "<ref>", "{{", "&", ", ", "<a ", "{|", "= ", "[//"],
)
def test_repetition_takes_no_quadratic_time(unit):
    start = time.perf_counter()
    for wiki in (False, True):
        clean_paragraphs(unit * 100_000, wiki=wiki)
    assert time.perf_counter() - start < 6


def test_an_unclosed_link_takes_no_quadratic_time():
    start = time.perf_counter()
    clean_paragraphs("[//" + 50_000 * "a", wiki=True)
    assert time.perf_counter() - start < 6
