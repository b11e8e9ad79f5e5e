"""The tokenizer in pure Python gives what TensorFlow's operations give."""

import os
import pathlib
import random
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from glomo_keras import data
from tests.data.text.test_word_tokenizer import DIFFICULT

ROOT = pathlib.Path(__file__).parents[3]
WORDS = ["<pad>", "<unk>", "the", "café", "n't", "'s", ".", "N", "İx"]
BYTES = b"caf\xc3\xa9 \xff\xfe b\xe2\x82 d\xf0\x9f\x98 \xed\xa0\x80 end"
PIECES = [
    *"abcstTSdDmM'’‘.,;:!?-_()[]<>0123456789  \n\t\u00a0",
    *["n't", "N’T", "'re", "’VE", "'ll", "1,000.5", "3.", "don't", "café"],
    *["ſ", "'ſ", "K", "İ", "ı", "ß", "Σ", "ΑΣ", "ς", "é", "e\u0301", "\u0344"],
    *["\u200b", "\u200c", "\u200d", "\u00ad", "\ufeff", "\u2028", "\x85"],
    *[
        "\x00",
        "\x01",
        "\x1f",
        "👩\u200d👧",
        "👍🏽",
        "🇳🇱",
        "日本",
        "한국",
        "क्ष",
        "٣٤",
    ],
    *["Ⅳ", "²", "½", "\ue000", "\uffff", "\U0001d7d8", "\U000e0041"],
]


def fuzzed(seed):
    rng = random.Random(seed)
    pieces = rng.choices(PIECES, k=rng.randint(0, 30))
    if rng.random() < 0.2:  # that TensorFlow's and Python's tables both know
        known = unicodedata.ucd_3_2_0.category
        signs = [chr(rng.randrange(0x20, 0xD800)) for _ in range(9)]
        pieces += [sign for sign in signs if known(sign) != "Cn"]
    return "".join(pieces)


@pytest.fixture
def without_tensorflow(monkeypatch):
    def make(*args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "tensorflow", None)
            return data.WordTokenizer(*args, **kwargs)

    return make


def as_strings(tokens):
    return [[word.decode() for word in row] for row in tokens]


def check_equal(make, texts, **options):
    plain = make(WORDS, **options)
    usual = data.WordTokenizer(WORDS, **options)
    found, expected = plain.tokenize(texts), usual.tokenize(texts)
    strings = as_strings(expected["tokens"].to_list())
    for text, row, wanted in zip(texts, found["tokens"], strings, strict=True):
        assert row == wanted, repr(text)
    offsets = expected["token_offsets"].to_list()
    assert found["token_offsets"] == offsets
    found, expected = plain(texts, max_length=9), usual(texts, max_length=9)
    for name, array in expected.items():
        array = array.numpy()
        if name == "tokens":
            array = np.array(as_strings(array), object)
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


OPTIONS = [
    {},
    {"lowercase": False, "numbers": "N"},
    {"normalize_unicode": True, "numbers": "N"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_tokens_ids_and_offsets_are_those_of_tensorflow(
    without_tensorflow, options
):
    texts = [*DIFFICULT, BYTES, *map(fuzzed, range(500))]
    check_equal(without_tensorflow, texts, **options)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
def test_10_000_texts_are_read_as_by_tensorflow(without_tensorflow, options):
    check_equal(without_tensorflow, [*map(fuzzed, range(10_000))], **options)


def test_words_are_normalized_as_by_tensorflow(without_tensorflow):
    words = ["Cafe\u0301", "’S", "B52", "ΑΣ"]
    options = {"normalize_unicode": True, "numbers": "N"}
    found = without_tensorflow(WORDS, **options).normalize(words)
    assert found.tolist() == ["café", "'s", "N", "ας"]
    expected = data.WordTokenizer(WORDS, **options).normalize(words).numpy()
    assert [word.decode() for word in expected] == found.tolist()


def test_odd_inputs_are_refused_or_read(without_tensorflow):
    tokenizer = without_tensorflow(WORDS)
    assert tokenizer("the")["token_ids"].tolist() == [[2]]
    assert tokenizer([])["tokens"].shape == (0, 1)
    assert tokenizer(["", " "])["token_offsets"].shape == (2, 1, 2)
    with pytest.raises(ValueError, match=r"shape \(B,\).*\(1, 1\)"):
        tokenizer([["a"]])
    with pytest.raises(TypeError, match="str or bytes. Received: 3"):
        tokenizer([3])
    with pytest.raises(ValueError, match="need a vocabulary"):
        without_tensorflow()(["a"])
    with pytest.raises(ValueError, match="surrogates"):
        tokenizer(["\ud800"])


def test_lexicon_and_corpus_need_no_tensorflow(monkeypatch, tmp_path):
    texts = ["It isn't. It was.", "", "one two three four five six."]
    usual = data.Lexicon()
    expected = usual.add(texts)
    text = "one two three four five six seven\n" * 3
    (tmp_path / "corpus.txt").write_text(text)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    lexicon = data.Lexicon()
    found = lexicon.add(texts)
    assert lexicon.words == usual.words
    for rows, wanted in zip(found, expected, strict=True):
        for row, array in zip(rows, wanted, strict=True):
            np.testing.assert_array_equal(row, array)
    tokenizer = data.WordTokenizer(["<pad>", "<unk>", "it", "n't"])
    assert lexicon.token_ids(tokenizer).tolist()[:4] == [0, 2, 1, 3]
    corpus = data.prepare_corpus(
        tmp_path / "corpus.txt", tmp_path / "cache", vocabulary_size=9
    )
    assert sorted(corpus.vocabulary[2:]) == sorted(text.split()[:7])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_preset_is_read_and_run_without_tensorflow(backend):
    pytest.importorskip(backend)
    program = """
import sys; sys.modules["tensorflow"] = None
import glomo_keras as gk
tokenizer = gk.data.WordTokenizer.from_preset("glomo_small_en")
inputs = tokenizer(["The cat sat on the mat."])
predictor = gk.GraphPredictor.from_preset("glomo_small_en")
print(inputs["tokens"][0, 0], predictor(inputs)["forward_graphs"].shape[-1])
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == ["the", "7"], result.stderr
