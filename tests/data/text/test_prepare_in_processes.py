"""Preparation by several processes, whatever happens to them."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from glomo_keras.data import prepare_corpus
from tests.data.text.prepared import content
from tests.data.text.prepared import prepare
from tests.data.text.same_caches import check_same_caches


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
