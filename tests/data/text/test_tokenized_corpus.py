"""What a prepared corpus holds: vocabulary, ids, texts held out."""

import collections

import numpy as np
import pytest

from glomo_keras.data import TokenizedCorpus
from glomo_keras.data import WordTokenizer
from glomo_keras.data import prepare_corpus
from tests.data.text.prepared import content
from tests.data.text.prepared import prepare


def test_vocabulary_is_by_falling_count_then_word(tmp_path):
    (tmp_path / "a.txt").write_text("b b b a a c c d é Z")
    corpus = prepare_corpus(
        tmp_path / "a.txt", tmp_path / "cache", 7, progress=False
    )
    assert corpus.vocabulary == ["<pad>", "<unk>", "b", "a", "c", "d", "z"]
    assert corpus.num_words == 10
    assert corpus.unknown_rate == pytest.approx(0.1)


def test_ids_spell_the_texts(sources, tmp_path):
    corpus = prepare(sources, tmp_path / "cache", validation_fraction=0)
    lines = "\n".join(p.read_text() for p in sorted(sources.iterdir()))
    expected = [
        line.lower().replace("don't", "do n't").replace("3.5", "N").split()
        for line in lines.split("\n")
    ]
    words = [
        [corpus.vocabulary[i] for i in corpus.train.text(n)]
        for n in range(corpus.train.num_texts)
    ]
    assert words == expected
    counts = collections.Counter(w for line in expected for w in line)
    order = sorted(counts, key=lambda w: (-counts[w], w))
    assert corpus.vocabulary == ["<pad>", "<unk>", *order]
    assert corpus.unknown_rate == 0
    assert corpus.train.token_ids.dtype == "uint16"
    assert isinstance(corpus.train.token_ids, np.memmap)


def test_words_typed_in_several_ways_are_one_entry(tmp_path):
    (tmp_path / "a.txt").write_text("cafe\u0301 caf\u00e9 don’t don't x")
    options = {"validation_fraction": 0, "progress": False}
    paths = tmp_path / "a.txt", tmp_path / "cache"
    corpus = prepare_corpus(*paths, **options)
    words = ["café", "do", "n't", "x"]
    assert corpus.vocabulary == ["<pad>", "<unk>", *words]
    assert corpus.tokenizer_config["normalize_unicode"] is True
    ids = WordTokenizer(corpus.vocabulary, **corpus.tokenizer_config)(
        [(tmp_path / "a.txt").read_text()]
    )["token_ids"]
    assert ids.numpy().tolist() == [corpus.train.text(0).tolist()]
    as_typed = prepare_corpus(*paths, normalize_unicode=False, **options)
    assert len(as_typed.vocabulary) == 8


def test_ids_are_those_of_earlier_versions(tmp_path):
    text = "It's <b>1,000</b> Cats &amp; dogs. " * 3
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "wiki_00").write_text(
        f'<doc id="1" title="T">\nT\n\n[[a|Cats]] () {text}\n</doc>'
    )
    corpus = prepare_corpus(
        [tmp_path / "a.txt", tmp_path / "wiki_00"],
        tmp_path / "cache",
        validation_fraction=0,
        progress=False,
    )
    words = "<pad> <unk> cats & 's . N dogs it"
    assert corpus.vocabulary == words.split()
    ids = [8, 4, 6, 2, 3, 7, 5]
    assert corpus.train.text(0).tolist() == ids * 3
    assert corpus.train.text(1).tolist() == [2, *ids * 3]


def test_a_share_of_the_texts_is_held_out_by_seed(sources, tmp_path):
    cache = tmp_path / "cache"
    one = prepare(sources, cache, validation_fraction=0.25)
    assert (one.train.num_texts, one.validation.num_texts) == (90, 30)
    assert one.train.num_words + one.validation.num_words == one.num_words
    other = prepare(sources, cache, validation_fraction=0.25, seed=1)
    assert content(one)[1] != content(other)[1]
    none = prepare(sources, cache, validation_fraction=0)
    assert none.validation.num_words == 0
    assert prepare(sources, cache).validation.num_texts == 1


def test_a_single_text_holds_out_its_end(tmp_path):
    (tmp_path / "a.txt").write_text("a b c d e f g h i j")
    corpus = prepare_corpus(
        tmp_path / "a.txt",
        tmp_path / "cache",
        validation_fraction=0.2,
        progress=False,
    )
    assert corpus.train.num_words == 8
    words = [corpus.vocabulary[i] for i in corpus.validation.text(0)]
    assert words == ["i", "j"]


def test_nothing_usable_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("too short")
    with pytest.raises(ValueError, match="no usable text.*a.txt"):
        prepare_corpus(
            str(tmp_path / "a.txt"), tmp_path / "cache", progress=False
        )


def test_bad_arguments_are_refused(sources, tmp_path):
    with pytest.raises(ValueError, match="vocabulary_size=2"):
        prepare(sources, tmp_path, vocabulary_size=2)
    with pytest.raises(ValueError, match="validation_fraction=1"):
        prepare(sources, tmp_path, validation_fraction=1)
    with pytest.raises(FileNotFoundError, match="No prepared corpus"):
        TokenizedCorpus(tmp_path / "nowhere")


def test_large_vocabularies_take_wider_ids(tmp_path):
    (tmp_path / "a.txt").write_text("a b c d e")
    words = ["<pad>", "<unk>", *(f"w{i}" for i in range(70000)), "e"]
    corpus = prepare_corpus(
        tmp_path / "a.txt",
        tmp_path / "cache",
        vocabulary=words,
        validation_fraction=0,
        progress=False,
    )
    assert corpus.train.text(0).tolist() == [1, 1, 1, 1, 70002]
