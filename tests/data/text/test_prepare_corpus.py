"""The two passes: cache, resumption, damage, broken files."""

import gzip
import json
import os
import pathlib
import pickle
import shutil

import numpy as np
import pytest

from glomo_keras.data import TokenizedCorpus
from glomo_keras.data import open_corpus
from glomo_keras.data.part_files import save_record
from glomo_keras.data.part_files import write_part
from glomo_keras.data.text.corpus_plan import CorpusPlan
from glomo_keras.utils import files
from tests.data.text.prepared import content
from tests.data.text.prepared import prepare
from tests.data.text.same_caches import check_same_caches


def shard_paths(cache):
    return sorted(cache.glob("tokens-*/shard-*.npz"))


class Failing:
    """A source that fails at one of its texts."""

    def __init__(self, source, number, error):
        self.source = source
        self.number = number
        self.count = 0
        self.error = error
        self.name = source.name
        self.signature = source.signature
        self.spans = source.spans

    def texts(self, *span):
        for text in self.source.texts(*span):
            if self.count == self.number:
                raise self.error
            self.count += 1
            yield text


def failing(sources, source, number, error):
    """The corpus of `sources`, which fails in one of its files."""
    corpus = open_corpus(str(sources / "*.txt"), "line")
    corpus.sources[source] = Failing(corpus.sources[source], number, error)
    return corpus


def unreadable(sources):
    """The corpus of `sources`, which fails when it is read."""
    return failing(sources, 0, 0, AssertionError("the sources were read"))


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
    with pytest.warns(UserWarning, match="shard-00002-000.npz .*: rebuilding"):
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
        parts = manifest.get("parts", [manifest])
        for record in sum((part["files"] for part in parts), []):
            status = (folder / record["file"]).stat()
            assert record["mtime_ns"] == status.st_mtime_ns


def test_changed_sources_or_options_start_afresh(sources, tmp_path):
    cache = tmp_path / "cache"
    first = prepare(sources, cache)
    (sources / "a.txt").write_text("now another text of seven words")
    changed = prepare(sources, cache)
    upper = prepare(sources, cache, lowercase=False)
    assert len({first.path, changed.path, upper.path}) == 3
    assert "Do" in upper.vocabulary and "Do" not in changed.vocabulary


def test_ids_do_not_depend_on_the_size_of_shards(sources, tmp_path):
    """The whole corpus in one shard, or small and large files cut up."""
    (sources / "b.txt").write_text("")
    (sources / "c.txt").write_text("one two three four five six " * 300)
    with pytest.warns(UserWarning, match="b.txt is empty"):
        whole = prepare(sources, tmp_path / "cache", shard_words=10**6)
        cut = prepare(sources, tmp_path / "cache", shard_words=50)
    assert content(whole) == content(cut)
    assert len(shard_paths(tmp_path / "cache")) > 10


def broken_files(folder):
    """Adds three broken files and returns their names."""
    packed = gzip.compress(b"one two three four five six\n" * 500)
    (folder / "aa.txt.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "b.csv").write_text("id,text\n1,one two three four five six")
    (folder / "d.txt").write_bytes(b"PK\x03\x04 an archive of some texts")
    return ["aa.txt.gz", "b.csv", "d.txt"]


def test_broken_files_are_named_and_counted(sources, tmp_path):
    good = prepare(sources, tmp_path / "good", validation_fraction=0)
    names = broken_files(sources)
    corpus = open_corpus(str(sources), "line")
    with pytest.raises(ValueError, match="cannot be read to its end"):
        prepare(corpus, tmp_path / "cache")
    options = {"skip_broken": True, "validation_fraction": 0}
    with pytest.warns(UserWarning, match="3 of 6 sources are") as caught:
        whole = prepare(corpus, tmp_path / "cache", **options)
    assert all(f"{name} " in str(caught[0].message) for name in names)
    ids = {word: n for n, word in enumerate(whole.vocabulary)}
    texts = [whole.train.text(n) for n in range(whole.train.num_texts)]
    kept = [text for text in texts if ids.get("six") not in text]
    assert len(kept) == good.train.num_texts
    with pytest.warns(UserWarning, match="3 of 6"):
        prepare(corpus, tmp_path / "cache")


def test_a_corpus_of_broken_files_is_refused(tmp_path):
    broken_files(tmp_path)
    corpus = open_corpus(str(tmp_path / "*.csv"))
    with (
        pytest.warns(UserWarning, match="b.csv holds a table"),
        pytest.raises(ValueError, match="no usable text.*files are broken"),
    ):
        prepare(corpus, tmp_path / "cache", skip_broken=True)


def test_parts_may_be_done_in_any_order_and_twice(sources, tmp_path):
    """As by several processes; the writer arrives there pickled."""
    prepare(sources, tmp_path / "one")
    plan = CorpusPlan(
        open_corpus(str(sources / "*.txt"), "line"),
        tmp_path / "two",
        shard_words=100,
    )
    writer = pickle.loads(pickle.dumps(plan.writer))
    for number in [*reversed(plan.part_files.find()), 3]:
        pieces = pickle.loads(pickle.dumps(plan.pieces(number)))
        part = plan.part_files.plan[number]
        write_part(plan.part_files.folder, writer, number, part, pieces)
    again = prepare(unreadable(sources), tmp_path / "two")
    assert again.num_words == prepare(sources, tmp_path / "one").num_words
    check_same_caches(tmp_path / "one", tmp_path / "two")


def test_a_record_is_written_where_another_process_removed_the_folder(
    tmp_path, monkeypatch
):
    write_json = files.write_json

    def removed_first(path, *args, **kwargs):
        shutil.rmtree(path.rpartition("/")[0])
        monkeypatch.undo()
        write_json(path, *args, **kwargs)

    monkeypatch.setattr(files, "write_json", removed_first)
    save_record(str(tmp_path), 3, {"files": []})
    (record,) = (tmp_path / "parts").iterdir()
    assert json.loads(record.read_text()) == {"files": []}


def test_a_corpus_keeps_its_own_options(sources, tmp_path):
    (sources / "short.txt").write_text("worda wordb")
    corpus = open_corpus(str(sources / "short.txt"), min_paragraph_words=1)
    assert prepare(corpus, tmp_path / "cache").num_words == 2
    for name, value in (
        ("texts", "file"),
        ("min_paragraph_words", 0),
        ("wiki", False),
    ):
        with pytest.raises(ValueError, match=f"Received: .*'{name}': "):
            prepare(corpus, tmp_path / "cache", **{name: value})
    lines = open_corpus(str(sources / "*.txt"), "line", min_paragraph_words=1)
    own = {"texts": "line", "min_paragraph_words": 1}
    prepare(lines, tmp_path / "cache", **own)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 5}, "`validation_fraction` must be in"),
        ({"vocabulary_size": 20.0}, "`vocabulary_size` must be a positive int"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    sources, tmp_path, options, message
):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        prepare(sources, tmp_path / "cache", **options)
    assert not (tmp_path / "cache").exists()
