"""Apache Beam writes what `prepare_corpus` writes, whatever goes wrong."""

import gzip
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from glomo_keras import data
from tests.data.text.same_caches import check_same_caches

pytest.importorskip("apache_beam")
pytestmark = pytest.mark.filterwarnings("ignore")

TWO_WORKERS = (
    "--direct_num_workers=2",
    "--direct_running_mode=multi_processing",
)
OPTIONS = {"texts": "line", "shard_words": 100}


def prepare_twice(spec, tmp_path, beam_options=(), **options):
    """Prepares a corpus locally and by Beam; returns the two corpora."""
    options = {**OPTIONS, **options}
    local = data.prepare_corpus(
        spec, tmp_path / "local", progress=False, **options
    )
    beam = data.prepare_on_beam(
        spec, tmp_path / "beam", beam_options, **options
    )
    return local, beam


class FailingOnce:
    """A source whose worker fails in the middle of it, the first time."""

    def __init__(self, source, flag):
        self.source = source
        self.flag = flag
        self.signature = source.signature
        self.spans = source.spans

    def texts(self, *span):
        for number, text in enumerate(self.source.texts(*span)):
            if number == 5 and not self.flag.exists():
                self.flag.touch()
                raise RuntimeError("the worker is gone")
            yield text


# Every bundle runs twice: work that is done again changes nothing.
@pytest.mark.parametrize("repeat", [0, 1])
def test_shards_and_ids_are_those_of_the_local_path(sources, tmp_path, repeat):
    beam_options = [f"--direct_runner_bundle_repeat={repeat}"]
    local, beam = prepare_twice(str(sources), tmp_path, beam_options)
    check_same_caches(tmp_path / "local", tmp_path / "beam")
    assert beam.vocabulary == local.vocabulary
    assert beam.unknown_rate == local.unknown_rate


def test_the_local_path_opens_what_beam_wrote(sources, tmp_path):
    cache = tmp_path / "cache"
    first = data.prepare_on_beam(str(sources), cache, **OPTIONS)
    times = {p: p.stat().st_mtime_ns for p in cache.rglob("*.np*")}
    second = data.prepare_corpus(str(sources), cache, progress=False, **OPTIONS)
    assert second.path == first.path
    assert times == {p: p.stat().st_mtime_ns for p in cache.rglob("*.np*")}
    given = ["<pad>", "<unk>", "worda", "N"]
    other = data.prepare_on_beam(
        str(sources), cache, vocabulary=given, **OPTIONS
    )
    assert other.vocabulary == given
    assert all(p.stat().st_mtime_ns == time for p, time in times.items())


def test_work_that_failed_is_done_again(sources, tmp_path):
    corpus = data.open_corpus(str(sources), "line")
    corpus.sources[1] = FailingOnce(corpus.sources[1], tmp_path / "failed")
    data.prepare_on_beam(corpus, tmp_path / "beam", **OPTIONS)
    assert (tmp_path / "failed").exists()
    data.prepare_corpus(
        str(sources), tmp_path / "local", progress=False, **OPTIONS
    )
    check_same_caches(tmp_path / "local", tmp_path / "beam")


def test_broken_files_are_left_out_as_on_the_local_path(sources, tmp_path):
    packed = gzip.compress(b"one two three four five six\n" * 500)
    (sources / "aa.txt.gz").write_bytes(packed[: len(packed) // 2])
    (sources / "b.csv").write_text("id,text\n1,one two three four five six")
    prepare_twice(str(sources), tmp_path, skip_broken=True)
    check_same_caches(tmp_path / "local", tmp_path / "beam")
    with pytest.warns(UserWarning, match="2 of 5 sources") as caught:
        data.prepare_on_beam(str(sources), tmp_path / "beam", **OPTIONS)
    assert "aa.txt.gz" in str(caught[0].message)
    with pytest.raises(Exception, match="b.csv|aa.txt.gz"):
        data.prepare_on_beam(str(sources), tmp_path / "new", **OPTIONS)


@pytest.mark.slow
def test_two_workers_write_the_same(sources, tmp_path):
    prepare_twice(str(sources), tmp_path, TWO_WORKERS)
    check_same_caches(tmp_path / "local", tmp_path / "beam")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_job_killed_at_any_moment_goes_on(sources, tmp_path, seed):
    """The recipe, killed and started again, and then on the local path."""
    cache = tmp_path / "cache"
    command = [
        *(sys.executable, "-m", "recipes.pretrain.prepare"),
        *("--corpus", str(sources), "--cache", str(cache)),
        *("--runner", "DirectRunner", *TWO_WORKERS),
    ]
    for number in range(24):
        text = f"some more words for copy{number}. " * 40_000
        (sources / f"copy{number}.txt").write_text(text)
    process = subprocess.Popen(command, env=os.environ)
    while not list(cache.glob("tokens-*/parts/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(np.random.default_rng(seed).uniform(0, 3))
    process.kill()
    process.wait()
    subprocess.run(command, check=True)
    data.prepare_corpus(str(sources), tmp_path / "local", progress=False)
    check_same_caches(tmp_path / "local", cache)
