"""The two passes: cache, resumption, damage, vocabulary."""

import collections
import os
import shutil

import numpy as np
import pytest

from glomo_keras.data import TokenizedCorpus
from glomo_keras.data import prepare_corpus
from glomo_keras.data.text import corpus as corpus_module
from glomo_keras.data.text import text_sources
from glomo_keras.data.text import token_shards


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Three files of 40 lines; shards of about 100 words."""
    monkeypatch.setattr(corpus_module, "BATCH_TEXTS", 5)
    folder = tmp_path / "texts"
    folder.mkdir()
    rng = np.random.default_rng(0)
    words = [f"word{chr(97 + i)}" for i in range(20)] + ["Don't", "3.5"]
    for name in "abc":
        lines = [" ".join(rng.choice(words, 8)) for _ in range(40)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder


def prepare(sources, cache, **options):
    options = {"texts": "line", "shard_words": 100, **options}
    return prepare_corpus(
        str(sources / "*.txt"), str(cache), progress=False, **options
    )


def content(corpus):
    streams = [corpus.train, corpus.validation]
    texts = [[s.text(i).tolist() for i in range(s.num_texts)] for s in streams]
    return corpus.vocabulary, texts


def shard_paths(cache):
    return sorted(cache.glob("tokens-*/shard-*.npz"))


def forbid_reading(monkeypatch):
    def fail(self):
        raise AssertionError("the sources were read")

    monkeypatch.setattr(text_sources.TextFile, "texts", fail)


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


def test_second_run_does_not_read_the_sources(sources, tmp_path, monkeypatch):
    first = prepare(sources, tmp_path / "cache")
    forbid_reading(monkeypatch)
    second = prepare(sources, tmp_path / "cache")
    assert content(first) == content(second)
    assert content(TokenizedCorpus(first.path)) == content(first)
    assert second.path == first.path


def test_another_vocabulary_reuses_the_shards(sources, tmp_path, monkeypatch):
    prepare(sources, tmp_path / "cache")
    forbid_reading(monkeypatch)
    given = ["<pad>", "<unk>", "worda", "N"]
    corpus = prepare(sources, tmp_path / "cache", vocabulary=given)
    assert corpus.vocabulary == given
    assert 0 < corpus.unknown_rate < 1
    small = prepare(sources, tmp_path / "cache", vocabulary_size=5)
    assert len(small.vocabulary) == 5
    assert corpus.num_words == small.num_words


def test_a_killed_run_goes_on_and_gives_the_same(
    sources, tmp_path, monkeypatch
):
    whole = prepare(sources, tmp_path / "whole")
    write = token_shards.TokenShards._write

    def write_three(self, index, shard):
        if index == 3:
            raise KeyboardInterrupt
        return write(self, index, shard)

    monkeypatch.setattr(token_shards.TokenShards, "_write", write_three)
    with pytest.raises(KeyboardInterrupt):
        prepare(sources, tmp_path / "killed")
    done = {p: p.stat().st_mtime_ns for p in shard_paths(tmp_path / "killed")}
    assert len(done) == 3
    monkeypatch.setattr(token_shards.TokenShards, "_write", write)
    resumed = prepare(sources, tmp_path / "killed")
    assert content(resumed) == content(whole)
    assert all(p.stat().st_mtime_ns == time for p, time in done.items())
    names = [p.name for p in shard_paths(tmp_path / "killed")]
    assert names == [p.name for p in shard_paths(tmp_path / "whole")]


def test_an_error_in_a_source_arrives_unchanged(sources, tmp_path, monkeypatch):
    read = text_sources.TextFile.texts

    def fail_in_second(self):
        if self.path.endswith("b.txt"):
            raise OSError("disk gone: b.txt")
        return read(self)

    monkeypatch.setattr(text_sources.TextFile, "texts", fail_in_second)
    with pytest.raises(OSError, match="disk gone: b.txt"):
        prepare(sources, tmp_path / "cache")


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
def test_a_damaged_id_file_is_rebuilt(sources, tmp_path, monkeypatch, damage):
    cache = tmp_path / "cache"
    first = content(prepare(sources, cache))
    damage(next(cache.glob("tokens-*/ids-*/token_ids.npy")))
    forbid_reading(monkeypatch)
    with pytest.warns(UserWarning, match="token_ids.npy .*: rebuilding"):
        assert content(prepare(sources, cache)) == first


def test_a_copied_cache_is_checked_once_and_used(
    sources, tmp_path, monkeypatch
):
    first = content(prepare(sources, tmp_path / "cache"))
    shutil.copytree(
        tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile
    )
    forbid_reading(monkeypatch)
    assert content(prepare(sources, tmp_path / "copy")) == first
    hashed = []
    monkeypatch.setattr(
        "glomo_keras.data.text.cache_files._sha256", hashed.append
    )
    assert content(prepare(sources, tmp_path / "copy")) == first
    assert not hashed


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
