"""Preparation of a corpus, pretraining and extraction of edges, in processes.

A case has as many cores as processes. The seconds of preparation and
extraction are those of the whole call, the start of the processes included;
those of pretraining are of a step of a model of the sizes of `small`, with 20
positions and the softmax over all words (`small` of `recipes.pretrain.text` has
40 and 4,000 words), whose batch of 32 windows (or 64) is divided among the
processes. `apart` is the job of one process twice at the same time, in
processes that know nothing of each other: what two cores of this machine can
do at most.
"""

import concurrent.futures
import multiprocessing
import os
import statistics
import tempfile
import time

from benchmarks import pretraining
from benchmarks.measuring import peak_megabytes

WORDS = {"prepare": 72_000_000, "extract": 1_200_000}
WAYS = {
    "prepare": (("processes", 1), ("processes", 2), ("beam", 2)),
    "pretrain": tuple((b, n) for b in ("jax", "tensorflow") for n in (1, 2)),
    "extract": (("processes", 1), ("processes", 2), ("beam", 2)),
}
MULTI_PROCESSING = ("--direct_running_mode", "multi_processing")
CASES = {
    f"{job}:{how}:{workers}": {"job": job, "how": how, "workers": workers}
    for job, ways in WAYS.items()
    for how, workers in ways
} | {
    f"{job}:{how}:apart": {"job": job, "how": how, "workers": 1, "copies": 2}
    for job, ways in WAYS.items()
    for how, workers in ways
    if workers == 1
}
CASES |= {
    f"pretrain:{how}:2:batch_64": {
        "job": "pretrain",
        "how": how,
        "workers": 2,
        "batch_size": 64,
    }
    for how in ("jax", "tensorflow")
}


def measure(job, how, workers, calls, copies=1, first_core=0, **sizes):
    """Measures a job on random words.

    Args:
        job: `"prepare"`, `"pretrain"` or `"extract"`.
        how: `"processes"` or `"beam"`; of `"pretrain"` the backend.
        workers: int.
        calls: int, how many epochs are timed; the other jobs run once.
        copies: int, how many such jobs run at the same time. Defaults to 1.
        first_core: int, the first core for the job. Defaults to 0.
        **sizes: `num_words` instead of those of `WORDS`, or what `time_steps`
            takes.

    Returns:
        Dict of numbers. The memory is that of the first process.
    """
    if copies > 1:
        return measure_copies(copies, job, how, workers, calls, **sizes)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[first_core : first_core + workers])
    try:
        if job == "pretrain":
            return pretrain(how, workers, {"epochs": calls, **sizes})
        return run_once(job, how, workers, **sizes)
    finally:
        os.sched_setaffinity(0, cores)


def measure_copies(copies, *arguments, **sizes):
    """Measures several jobs at the same time, each on a core of its own.

    Returns:
        Dict of numbers: words per second of all, else of the slowest.
    """
    with concurrent.futures.ProcessPoolExecutor(
        copies, multiprocessing.get_context("spawn")
    ) as pool:
        jobs = [
            pool.submit(measure, *arguments, first_core=core, **sizes)
            for core in range(copies)
        ]
        results = [job.result() for job in jobs]
    slowest = max(results, key=lambda result: result["seconds"])
    words = sum(result["words_per_second"] for result in results)
    return {**slowest, "words_per_second": words}


def run_once(job, how, workers, num_words=None):
    """Measures preparation or extraction, see `measure`."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    run = {"prepare": prepare, "extract": extract}[job]
    num_words = num_words or WORDS[job]
    with tempfile.TemporaryDirectory() as folder:
        write_texts(f"{folder}/texts", num_words)
        finish = run(folder, how, workers)
        start = time.perf_counter()
        finish()
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "words_per_second": num_words / seconds,
        "peak_megabytes": peak_megabytes(),
    }


def pretrain(backend, workers, options):
    """Measures steps of pretraining, see `measure`."""
    os.environ["KERAS_BACKEND"] = backend
    from glomo_keras import training

    with tempfile.TemporaryDirectory() as folder:
        arguments = folder, options
        if workers == 1:
            return time_steps(*arguments)
        return training.run_processes(time_steps, arguments, workers)


def time_steps(folder, options):
    """Pretrains as one of several processes, or alone.

    Args:
        folder: str, where checkpoints and times are written.
        options: dict of `epochs`, how many are timed after a first one;
            `steps`, in each of them, 10 by default; and sizes instead of
            those of `benchmarks.pretraining`.

    Returns:
        Dict of numbers, of a step; None in all processes but the first.
    """
    import keras

    from glomo_keras import data
    from glomo_keras import training

    keras.utils.set_random_seed(0)
    sizes = {**pretraining.sizes_of("small"), **options}
    epochs, steps = sizes.pop("epochs"), sizes.pop("steps", 10)
    batch_size, length = sizes.pop("batch_size"), sizes.pop("length")
    windows = pretraining.FixedBatch(
        sizes["vocabulary_size"], batch_size, length
    )
    job = training.current_job()
    part = data.BatchPart(windows, job.index, job.size)
    run = training.RunFolder(folder)
    model = pretraining.build("package", sizes)
    training.fit_resumable(
        model,
        lambda step: data.as_dataset(part, step),
        epochs=1 + epochs,
        steps_per_epoch=steps,
        run_folder=run,
        verbose=0,
    )
    if job.index:
        return None
    epochs = training.read_history(run.timing_path)[1:]
    seconds, cpu_seconds = (
        statistics.median(row[name] for row in epochs) / steps
        for name in ("seconds", "cpu_seconds")
    )
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "words_per_second": batch_size * length / seconds,
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
