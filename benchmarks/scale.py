"""Preparation of a corpus and extraction of its edges, in processes.

A case has as many cores as processes. The seconds are those of the whole
call, the start of the processes included.
"""

from benchmarks.measuring import peak_megabytes

WORDS = {"prepare": 24_000_000, "extract": 300_000}
MULTI_PROCESSING = ("--direct_running_mode", "multi_processing")
CASES = {
    f"{job}:{how}:{workers}": {"job": job, "how": how, "workers": workers}
    for job in WORDS
    for how, workers in (("processes", 1), ("processes", 2), ("beam", 2))
}


def measure(job, how, workers, calls, num_words=None):
    """Measures a job on random words.

    Args:
        job: `"prepare"` or `"extract"`.
        how: `"processes"` or `"beam"`.
        workers: int.
        calls: int, not used: a job runs once.
        num_words: int. Defaults to None, those of `WORDS`.

    Returns:
        Dict of numbers. The memory is that of the first process.
    """
    import os
    import tempfile
    import time

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:workers])
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    run = {"prepare": prepare, "extract": extract}[job]
    num_words = num_words or WORDS[job]
    with tempfile.TemporaryDirectory() as folder:
        write_texts(f"{folder}/texts", num_words)
        finish = run(folder, how, workers)
        start = time.perf_counter()
        finish()
        seconds = time.perf_counter() - start
    os.sched_setaffinity(0, cores)
    return {
        "seconds": seconds,
        "words_per_second": num_words / seconds,
        "peak_megabytes": peak_megabytes(),
    }


def prepare(folder, how, workers):
    """Returns a function that prepares the corpus."""
    from glomo_keras import data

    options = {"spec": f"{folder}/texts", "cache_dir": f"{folder}/cache"}
    if how == "beam":
        return lambda: data.prepare_on_beam(
            **options, beam_options=beam_options(workers)
        )
    return lambda: data.prepare_corpus(
        **options, num_processes=workers, progress=False
    )


def extract(folder, how, workers):
    """Returns a function that extracts edges by the preset of the package."""
    import glomo_keras as gk

    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    options = {
        "predictor": predictor,
        "spec": f"{folder}/texts",
        "out": f"{folder}/edges",
        "shard_words": 10_000,
    }
    if how == "beam":
        return lambda: gk.serving.extract_edges_on_beam(
            **options, beam_options=beam_options(workers)
        )
    return lambda: gk.serving.extract_edges(
        **options, num_processes=workers, progress=False
    )


def beam_options(workers):
    """Returns the options of Beam for processes on this machine."""
    return ["--direct_num_workers", str(workers), *MULTI_PROCESSING]


def write_texts(folder, num_words, file_words=10_000):
    """Writes files of random words, some more frequent than others.

    Args:
        folder: str.
        num_words: int, in all files together.
        file_words: int, in each of them. Defaults to 10,000.
    """
    import pathlib

    import numpy as np

    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (50_000, 6), "uint8")
    words = letters.view("S6")[:, 0].astype("U6")
    pathlib.Path(folder).mkdir()
    for number in range(-(-num_words // file_words)):
        count = min(file_words, num_words - number * file_words)
        ranks = 50_000 ** rng.random(count) - 1
        text = words[ranks.astype("int64")].tolist()
        lines = [" ".join(text[i : i + 250]) for i in range(0, count, 250)]
        path = pathlib.Path(folder, f"{number:05d}.txt")
        path.write_text("\n\n".join(lines))
