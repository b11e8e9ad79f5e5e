"""Asks a local server for graphs from many clients at once.

    python -m recipes.serving.load_test --clients 64 --seconds 60

Starts `recipes.serving.serve_locally`, a gRPC service in a process of its own, with
the models in `saved_models/`. Every client, a thread with a connection, asks
again and again for the edges, a mixture or all graphs of a text of 1 to 60
words. After a warm-up it counts the answers, the errors and the time that each
took, and the memory of the server. Prints and writes `metrics.json` and
`memory.csv`. Exits with 1 if there was an error, or if the server's memory
grew: its mean over the last ten seconds is more than 2 % above that over the
first ten.

It takes two minutes on two cores; figures in `docs/serving.md`.
"""

import contextlib
import csv
import dataclasses
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time
import typing

import numpy as np
import tyro

from benchmarks.measuring import resident_megabytes
from glomo_keras.serving import GraphClient
from glomo_keras.training import RunFolder

LONGEST = 60  # words
SAMPLE_SECONDS = 1.0
COMPARED_SECONDS = 10.0
GROWTH_LIMIT = 0.02
NUM_WEIGHTS = 40  # of a mixture of 3 layers of 8 heads
KINDS = ("edges", "mixture", "graphs")


@dataclasses.dataclass
class Options:
    """Asks a local server for graphs from many clients at once."""

    models: pathlib.Path = pathlib.Path("saved_models")
    """Folder with NAME/VERSION/ of each model."""
    model: str = "glomo_small_en"
    """The model that is asked, of 3 layers of 8 heads."""
    out: pathlib.Path = pathlib.Path("runs/load_test")
    clients: int = 64
    seconds: float = 60.0
    warmup_seconds: float = 30.0
    protocol: typing.Literal["grpc", "rest"] = "grpc"
    timeout: float = 30.0
    """Seconds that an answer may take."""


class Load:
    """Clients in threads, and what they met.

    Args:
        make_client: function without arguments, which makes a `GraphClient`.
        words: list of strings, of which texts are made.
        clients: int, their number.
    """

    def __init__(self, make_client, words, clients):
        self._make_client, self._words = make_client, words
        self._stopped = threading.Event()
        self._first_answers = threading.Semaphore(0)
        self.counting = threading.Event()
        self.seconds = {kind: [] for kind in KINDS}
        self.errors = []
        self._threads = [
            threading.Thread(target=self._ask, args=(seed,), daemon=True)
            for seed in range(clients)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def warm_up(self, seconds):
        """Waits, and until every client has had an answer or an error."""
        time.sleep(seconds)
        for _ in self._threads:
            self._first_answers.acquire()

    def _ask(self, seed):
        first = True
        draw = random.Random(seed)  # noqa: S311
        weights = np.full((2, NUM_WEIGHTS), 1 / NUM_WEIGHTS, "float32")
        with self._make_client() as client:
            while not self._stopped.is_set():
                text = draw.choices(self._words, k=draw.randint(1, LONGEST))
                kind = draw.choice(KINDS)
                more = [weights] if kind == "mixture" else []
                start = time.perf_counter()
                try:
                    getattr(client, kind)([" ".join(text)], *more)
                except Exception as error:  # whatever it is, it is counted
                    self.errors.append(f"{type(error).__name__}: {error}")
                else:
                    if self.counting.is_set():
                        seconds = time.perf_counter() - start
                        self.seconds[kind].append(seconds)
                if first:
                    self._first_answers.release()
                    first = False


@contextlib.contextmanager
def local_server(models):
    """Starts `recipes.serving.serve_locally` in a process of its own.

    Yields:
        Its process id, its gRPC address and its REST URL.
    """
    ports = ["--grpc-port", "0", "--rest-port", "0"]
    command = [sys.executable, "-m", "recipes.serving.serve_locally", *ports]
    with subprocess.Popen(
        [*command, "--models", models], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stdout:
                if line.startswith("REST "):
                    rest, grpc = line.strip().split(", gRPC ")
                    break
            else:
                raise RuntimeError("The server did not start: see above")
            yield process.pid, grpc, rest.removeprefix("REST ")
        finally:
            process.terminate()


def watch_memory(pid, seconds):
    """Resident megabytes of a process, once a second: pairs with the time."""
    start, samples = time.perf_counter(), []
    while (now := time.perf_counter() - start) < seconds:
        samples.append((now, resident_megabytes(pid)))
        time.sleep(SAMPLE_SECONDS)
    return samples


def summary(load, samples, seconds):
    """Dict of what was counted."""
    span = min(COMPARED_SECONDS, seconds / 2)
    first = statistics.fmean(mb for at, mb in samples if at < span)
    last = statistics.fmean(mb for at, mb in samples if at >= seconds - span)
    all_seconds = sum(load.seconds.values(), [])
    return {
        "answers": len(all_seconds),
        "answers_per_second": len(all_seconds) / seconds,
        "errors": len(load.errors),
        "first_errors": load.errors[:5],
        "milliseconds": {
            kind: dict(
                zip(
                    ("median", "p95", "longest"),
                    1e3 * np.quantile(times, [0.5, 0.95, 1.0]),
                    strict=True,
                )
            )
            for kind, times in load.seconds.items()
            if times
        },
        "server_megabytes_after_warmup": first,
        "server_megabytes_at_end": last,
        "growth": last / first - 1,
    }


def main(options):
    pattern = f"{options.model}/*/assets/vocabulary.txt"
    vocabulary = next(options.models.glob(pattern), None)
    if vocabulary is None:
        raise ValueError(
            "--models has no model of this name that takes texts. "
            f"Received: {options.models / pattern}"
        )
    words = vocabulary.read_text("utf-8").splitlines()[2:]
    run = RunFolder(options.out, ["memory.csv"])
    with run.start(options, overwrite=True) as folder:
        with local_server(options.models) as (pid, grpc, rest):
            url = grpc if options.protocol == "grpc" else rest

            def make_client():
                return GraphClient(
                    url, model=options.model, timeout=options.timeout, retries=0
                )

            with Load(make_client, words, options.clients) as load:
                load.warm_up(options.warmup_seconds)
                load.counting.set()
                samples = watch_memory(pid, options.seconds)
                load.counting.clear()
        metrics = summary(load, samples, options.seconds)
        folder.write_metrics(metrics)
        with open(folder.path / "memory.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("second", "megabytes"))
            writer.writerows((f"{at:.1f}", f"{mb:.1f}") for at, mb in samples)
    report(metrics, options)
    if metrics["errors"] or metrics["growth"] > GROWTH_LIMIT:
        sys.exit(1)


def report(metrics, options):
    print(
        f"{options.clients} clients for {options.seconds:g} s: "
        f"{metrics['answers']} answers "
        f"({metrics['answers_per_second']:.1f} a second), "
        f"{metrics['errors']} errors"
    )
    for error in metrics["first_errors"]:
        print(f"  {error}")
    print("| signature | median | 95 % below | longest |\n|---|---|---|---|")
    for kind, times in metrics["milliseconds"].items():
        cells = " | ".join(f"{value:.0f} ms" for value in times.values())
        print(f"| {kind} | {cells} |")
    print(
        f"memory of the server: {metrics['server_megabytes_after_warmup']:.0f} "
        f"MB after the warm-up, {metrics['server_megabytes_at_end']:.0f} MB at "
        f"the end ({metrics['growth']:+.1%})"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
