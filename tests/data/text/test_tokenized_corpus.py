"""The two passes: cache, resumption, damage, vocabulary."""

import collections
import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from glomo_keras.data import Corpus
from glomo_keras.data import TokenizedCorpus
from glomo_keras.data import WordTokenizer
from glomo_keras.data import open_corpus
from glomo_keras.data import prepare_corpus


@pytest.fixture
def sources(tmp_path):
    """Three files of 40 lines; shards of about 100 words."""
    folder = tmp_path / "texts"
    folder.mkdir()
    rng = np.random.default_rng(0)
    words = [f"word{chr(97 + i)}" for i in range(20)] + ["Don't", "3.5"]
    for name in "abc":
        lines = [" ".join(rng.choice(words, 8)) for _ in range(40)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder


def prepare(sources, cache, **options):
    """Prepares a folder of texts, or a `Corpus`."""
    corpus = sources
    if not isinstance(sources, Corpus):
        corpus = open_corpus(str(sources / "*.txt"), "line")
    options = {"shard_words": 100, **options}
    return prepare_corpus(corpus, str(cache), progress=False, **options)


def content(corpus):
    streams = [corpus.train, corpus.validation]
    texts = [[s.text(i).tolist() for i in range(s.num_texts)] for s in streams]
    return corpus.vocabulary, texts


def shard_paths(cache):
    return sorted(cache.glob("tokens-*/shard-*.npz"))


class Failing:
    """A source that fails at one of its texts."""

    def __init__(self, source, number, error):
        self.source = source
        self.number = number
        self.error = error
        self.name = source.name
        self.signature = source.signature

    def texts(self):
        for number, text in enumerate(self.source.texts()):
            if number == self.number:
                raise self.error
            yield text


def failing(sources, source, number, error):
    """The corpus of `sources`, which fails in one of its files."""
    corpus = open_corpus(str(sources / "*.txt"), "line")
    corpus.sources[source] = Failing(corpus.sources[source], number, error)
    return corpus


def unreadable(sources):
    """The corpus of `sources`, which fails when it is read."""
    return failing(sources, 0, 0, AssertionError("the sources were read"))


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


def test_second_run_does_not_read_the_sources(sources, tmp_path):
    first = prepare(sources, tmp_path / "cache")
    second = prepare(unreadable(sources), tmp_path / "cache")
    assert content(first) == content(second)
    assert content(TokenizedCorpus(first.path)) == content(first)
    assert second.path == first.path


def test_another_vocabulary_reuses_the_shards(sources, tmp_path):
    prepare(sources, tmp_path / "cache")
    again = unreadable(sources)
    given = ["<pad>", "<unk>", "worda", "N"]
    corpus = prepare(again, tmp_path / "cache", vocabulary=given)
    assert corpus.vocabulary == given
    assert 0 < corpus.unknown_rate < 1
    small = prepare(again, tmp_path / "cache", vocabulary_size=5)
    assert len(small.vocabulary) == 5
    assert corpus.num_words == small.num_words


def test_a_killed_run_goes_on_and_gives_the_same(sources, tmp_path):
    whole = prepare(sources, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        corpus = failing(sources, 1, 20, KeyboardInterrupt)
        prepare(corpus, tmp_path / "killed")
    done = {p: p.stat().st_mtime_ns for p in shard_paths(tmp_path / "killed")}
    count = len(shard_paths(tmp_path / "whole"))
    assert 1 < len(done) < count - 2
    resumed = prepare(sources, tmp_path / "killed")
    assert content(resumed) == content(whole)
    assert all(p.stat().st_mtime_ns == time for p, time in done.items())
    names = [p.name for p in shard_paths(tmp_path / "killed")]
    assert names == [p.name for p in shard_paths(tmp_path / "whole")]


def test_an_error_in_a_source_arrives_unchanged(sources, tmp_path):
    corpus = failing(sources, 1, 0, OSError("disk gone: b.txt"))
    with pytest.raises(OSError, match="disk gone: b.txt"):
        prepare(corpus, tmp_path / "cache")


def damage_by_truncation(path):
    os.truncate(path, path.stat().st_size // 2)


def damage_by_flipping(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage", [damage_by_truncation, damage_by_flipping, os.remove]
)
def test_a_damaged_shard_is_rebuilt(sources, tmp_path, damage):
    cache = tmp_path / "cache"
    first = content(prepare(sources, cache))
    path = shard_paths(cache)[2]
    before = dict(np.load(path))
    damage(path)
    shutil.rmtree(next(cache.glob("tokens-*/ids-*")))
    with pytest.warns(UserWarning, match="shard-00002.npz .*: rebuilding"):
        assert content(prepare(sources, cache)) == first
    for name, array in np.load(path).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("damage", [damage_by_truncation, damage_by_flipping])
def test_a_damaged_id_file_is_rebuilt(sources, tmp_path, damage):
    cache = tmp_path / "cache"
    first = content(prepare(sources, cache))
    damage(next(cache.glob("tokens-*/ids-*/token_ids.npy")))
    with pytest.warns(UserWarning, match="token_ids.npy .*: rebuilding"):
        assert content(prepare(unreadable(sources), cache)) == first


def test_a_copied_cache_is_checked_once_and_used(sources, tmp_path):
    first = prepare(sources, tmp_path / "cache")
    shutil.copytree(
        tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile
    )
    copy = prepare(unreadable(sources), tmp_path / "copy")
    assert content(copy) == content(first)
    for folder in (pathlib.Path(copy.path), pathlib.Path(copy.path).parent):
        manifest = json.loads((folder / "manifest.json").read_text())
        for record in manifest.get("files", manifest.get("shards")):
            status = (folder / record["file"]).stat()
            assert record["mtime_ns"] == status.st_mtime_ns


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


def test_changed_sources_or_options_start_afresh(sources, tmp_path):
    cache = tmp_path / "cache"
    first = prepare(sources, cache)
    (sources / "a.txt").write_text("now another text of seven words")
    changed = prepare(sources, cache)
    upper = prepare(sources, cache, lowercase=False)
    assert len({first.path, changed.path, upper.path}) == 3
    assert "Do" in upper.vocabulary and "Do" not in changed.vocabulary


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
