"""The two passes: cache, resumption, damage, vocabulary."""

import collections
import gzip
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from glomo_keras.data import Corpus
from glomo_keras.data import TokenizedCorpus
from glomo_keras.data import WordTokenizer
from glomo_keras.data import open_corpus
from glomo_keras.data import prepare_corpus
from glomo_keras.data.text.corpus_plan import CorpusPlan
from glomo_keras.utils.part_files import write_part
from tests.data.text.same_caches import check_same_caches


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


def test_parts_read_what_the_whole_file_has(tmp_path):
    rng = np.random.default_rng(0)
    plain = ["a b", "", "one more line of words", " ", "é" * 30, "x " * 40]
    wiki = ["<doc id=1>", "</doc>", *plain]
    for name, lines in (("wiki_00", wiki), ("a.txt", plain)):
        path = tmp_path / name
        body = [lines[i] for i in rng.integers(0, len(lines), 150)]
        path.write_text("\n".join([lines[0], *body]))
        for texts in ("line", "blank_line"):
            source = open_corpus(str(path), texts).sources[0]
            whole = [text for text in source.texts() if text.text.strip()]
            assert len(whole) > 20
            for num_bytes in (7, 100, 1000, 10**6):
                spans = source.spans(num_bytes)
                assert sum(size for *_, size in spans) == path.stat().st_size
                parts = [source.texts(*span) for *span, _ in spans]
                together = [text for part in parts for text in part]
                assert [t for t in together if t.text.strip()] == whole


def test_parts_of_json_read_what_the_whole_file_has(tmp_path):
    article = {"id": "1", "url": "u", "title": "A", "text": "some words"}
    lines = [json.dumps({**article, "text": "a b " * n}) for n in range(50)]
    (tmp_path / "wiki_00").write_text("\n".join(lines))
    source = open_corpus(str(tmp_path), "line").sources[0]
    spans = [(start, stop) for start, stop, _ in source.spans(500)]
    assert len(spans) > 5
    parts = [text for span in spans for text in source.texts(*span)]
    assert parts == list(source.texts())


def test_ids_do_not_depend_on_the_size_of_shards(sources, tmp_path):
    """The whole corpus in one shard, or small and large files cut up."""
    (sources / "b.txt").write_text("")
    (sources / "c.txt").write_text("one two three four five six " * 300)
    with pytest.warns(UserWarning, match="b.txt is empty"):
        whole = prepare(sources, tmp_path / "cache", shard_words=10**6)
        cut = prepare(sources, tmp_path / "cache", shard_words=50)
    assert content(whole) == content(cut)
    assert len(shard_paths(tmp_path / "cache")) > 10


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


@pytest.mark.slow
def test_processes_write_the_same_shards(sources, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert content(prepare(sources, one)) == content(
        prepare(sources, two, num_processes=2)
    )
    check_same_caches(one, two)
    with pytest.raises(ValueError, match="num_processes=0"):
        prepare(sources, one, num_processes=0)


KILLED = """
import sys
from glomo_keras import data

if __name__ == "__main__":
    data.prepare_corpus(
        sys.argv[1], sys.argv[2], texts="line", shard_words=100,
        num_processes=2, progress=False,
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["job", "worker"])
def test_a_job_killed_at_any_moment_goes_on(sources, tmp_path, victim):
    """By SIGKILL, the job itself or one of its two processes."""
    for number in range(8):
        shutil.copy(sources / "a.txt", sources / f"copy{number}.txt")
    script, cache = tmp_path / "job.py", tmp_path / "killed"
    script.write_text(KILLED)
    job = subprocess.Popen(
        [sys.executable, script, sources, cache],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(cache.glob("tokens-*/parts/*.json")):
        assert job.poll() is None
        time.sleep(0.01)
    time.sleep(np.random.default_rng(0).uniform(0, 0.3))
    children = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children")
    worker = int(children.read_text().split()[-1])
    os.kill(job.pid if victim == "job" else worker, signal.SIGKILL)
    _, errors = job.communicate()
    assert job.returncode
    assert victim == "job" or "the parts that are missing" in errors
    options = {"texts": "line", "shard_words": 100, "progress": False}
    prepare_corpus(str(sources), cache, **options, num_processes=2)
    prepare_corpus(str(sources), tmp_path / "whole", **options)
    check_same_caches(tmp_path / "whole", cache)


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


MEMORY = """
import sys
from benchmarks.measuring import peak_megabytes
from glomo_keras import data

if __name__ == "__main__":
    for folder in sys.argv[2:]:
        data.prepare_corpus(
            folder, sys.argv[1], shard_words=100_000, progress=False
        )
        print(peak_megabytes())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """Ten times the text takes the same memory, to 10 %."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{n}" for n in range(5000)])
    for name, num_files in (("small", 10), ("large", 100)):
        (tmp_path / name).mkdir()
        for number in range(num_files):
            lines = rng.choice(words, (4000, 20))
            text = "\n".join(map(" ".join, lines.tolist()))
            (tmp_path / name / f"{number:03d}.txt").write_text(text)
    script = tmp_path / "job.py"
    script.write_text(MEMORY)
    result = subprocess.run(
        [sys.executable, script, "cache", "small", "large"],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        check=True,
    )
    small, large = map(float, result.stdout.split())
    assert small <= large < 1.1 * small
