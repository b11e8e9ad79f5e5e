"""Time and memory of graph transfer, factored beside materialised.

    make bench        # python -m recipes.benchmark

For each length T a fresh process builds a graph predictor (L = 3, K = 8,
C = 64, d = 128) and a conditioned `GraphTransfer` with two mixtures, and runs
both forms of the graphs on one text: the median time of `--repeats` runs
after a warm-up, and what the run adds to the peak memory of the process.
Prints a table with the ratios and writes `--out` as CSV.
"""

import csv
import dataclasses
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

import tyro

FORMS = ("factored", "materialised")


@dataclasses.dataclass
class Options:
    """Times graph transfer in both forms of the graphs."""

    lengths: tuple[int, ...] = (128, 512, 1024, 2048)
    """T, units per text."""
    repeats: int = 5
    out: pathlib.Path = pathlib.Path("runs/benchmark/transfer.csv")
    case: str | None = None
    """FORM:T, one measurement in this process, printed as JSON."""


def measure(form, length, repeats):
    """Seconds per text and megabytes added to the peak memory."""
    import keras
    import numpy as np

    import glomo_keras as gk

    predictor = gk.GraphPredictor(
        vocabulary_size=1000, embedding_dim=128, num_heads=8, key_dim=64
    )
    graphs_of = predictor.factored() if form == "factored" else predictor
    transfer = gk.layers.GraphTransfer(num_mixtures=2, conditioned=True)
    rng = np.random.default_rng(0)
    inputs = {
        "token_ids": rng.integers(2, 1000, (1, length)),
        "padding_mask": np.ones((1, length), bool),
    }
    features = rng.normal(size=(1, length, 128)).astype("float32")

    def run(part=slice(None)):
        some = {name: value[:, part] for name, value in inputs.items()}
        outputs = transfer(features[:, part], graphs_of(some))
        return keras.ops.convert_to_numpy(outputs)

    run(slice(8))  # builds the weights
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return {
        "seconds": statistics.median(times),
        "megabytes": (after - before) / 1024,  # ru_maxrss is in KiB on Linux
    }


def measure_apart(form, length, repeats):
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "recipes.benchmark"]
    command += ["--case", f"{form}:{length}", "--repeats", str(repeats)]
    output = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
    ).stdout
    return json.loads(output.splitlines()[-1])


def compare(length, repeats):
    """One row of the table."""
    row = {"T": length}
    for form in FORMS:
        for name, value in measure_apart(form, length, repeats).items():
            row[f"{form}_{name}"] = round(value, 4)
    times = [row[f"{form}_seconds"] for form in FORMS]
    row["speedup"] = round(times[1] / times[0], 2)
    return row


def describe_machine():
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, Python {sys.version[:6]}"


def main(options):
    if options.case is not None:
        form, length = options.case.split(":")
        print(json.dumps(measure(form, int(length), options.repeats)))
        return
    print(describe_machine())
    rows = []
    for length in options.lengths:
        rows.append(compare(length, options.repeats))
        if len(rows) == 1:
            print("  ".join(f"{name:>22}" for name in rows[0]))
        print("  ".join(f"{value:>22}" for value in rows[-1].values()))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with open(options.out, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(f"-> {options.out}")


if __name__ == "__main__":
    main(tyro.cli(Options))
