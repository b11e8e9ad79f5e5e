"""Compares runs of a task over their seeds.

    python -m recipes.tasks.compare runs/imdb/none runs/imdb/glomo \
runs/imdb/uniform --out runs/imdb/compare

RUNS are folders of the recipes of tasks, each with `seed-N/metrics.json`; the
first is the baseline. Prints, for each metric, mean and standard deviation
over the seeds and the difference to the baseline, paired by seed, with its
confidence interval (Student's t; none for a single seed). Writes the same to
OUT/compare.csv and a plot to OUT/compare.png.
"""

import dataclasses
import json
import math
import os
import pathlib

import numpy as np
import tyro
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.tables import print_table
from benchmarks.tables import write_table


@dataclasses.dataclass
class Options:
    """Means, deviations and paired differences of runs."""

    runs: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """Folders with seed-N/metrics.json; the first is the baseline."""
    metrics: tuple[str, ...] = ()
    """Names of metrics; none given: all numbers that are not val_..."""
    confidence: float = 0.95
    """Of the intervals of the differences."""
    scale: float = 1.0
    """Factor of the numbers: 100 makes shares percents."""
    out: pathlib.Path = pathlib.Path("runs/compare")
    """Folder of the CSV file and the plot."""


def read(folder):
    """The finished seeds of a run.

    Args:
        folder: path.

    Returns:
        Dict of seed to its metrics.

    Raises:
        ValueError: no seed is finished.
    """
    paths = sorted(folder.glob("seed-*/metrics.json"))
    rows = [json.loads(path.read_text("utf-8")) for path in paths]
    if not rows:
        raise ValueError(
            "A run is a folder with seed-N/metrics.json, which a run writes "
            f"when it is finished. Received: {folder}"
        )
    return {row["seed"]: row for row in rows}


def metric_names(runs):
    """The metrics that all runs have and that are fractional numbers.

    Args:
        runs: dict of run to what `read` gave.
    """
    rows = [row for run in runs.values() for row in run.values()]
    return [
        name
        for name in rows[0]
        if not name.startswith("val_")
        and all(isinstance(row.get(name), float) for row in rows)
    ]


def compare(runs, names, confidence=0.95, scale=1.0):
    """The table.

    Args:
        runs: dict of run to what `read` gave; the first is the baseline.
        names: metrics.
        confidence: of the intervals, in (0, 1).
        scale: factor of the numbers.

    Returns:
        List of dicts, one for each metric and run.

    Raises:
        ValueError: a metric that a seed lacks.
    """
    baseline = next(iter(runs))
    rows = []
    for name in names:
        values = {
            run: {
                seed: scale * _value(row, name, run) for seed, row in v.items()
            }
            for run, v in runs.items()
        }
        for run, by_seed in values.items():
            numbers = np.array(list(by_seed.values()))
            row = {
                "metric": name,
                "run": run,
                "seeds": len(numbers),
                "mean": numbers.mean(),
                "std": numbers.std(ddof=1) if len(numbers) > 1 else math.nan,
            }
            differences = paired(by_seed, values[baseline], confidence)
            if run == baseline:
                differences = dict.fromkeys(differences, "")
            rows.append(row | differences)
    return rows


def paired(values, others, confidence):
    """Mean difference over the seeds that both have.

    Args:
        values: dict of seed to number.
        others: dict of seed to number, subtracted.
        confidence: of the interval.

    Returns:
        Dict of `pairs`, `difference`, the interval's `low` and `high` and
        the two-sided `p`; these three are NaN for less than two pairs.
    """
    seeds = sorted(set(values) & set(others))
    differences = np.array([values[seed] - others[seed] for seed in seeds])
    low = high = p = math.nan
    if len(seeds) > 1:
        error = stats.sem(differences)
        reach = error * stats.t.ppf((1 + confidence) / 2, len(seeds) - 1)
        low, high = differences.mean() - reach, differences.mean() + reach
        if error > 0:
            p = stats.ttest_1samp(differences, 0).pvalue
    return {
        "pairs": len(seeds),
        "difference": differences.mean() if len(seeds) else math.nan,
        "low": low,
        "high": high,
        "p": p,
    }


def _value(row, name, run):
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"Every seed of {run} needs the number {name!r}. "
            f"Received: {name}={value!r} in seed {row['seed']}"
        )
    return value


def draw(rows, confidence, path):
    """Every metric: the seeds' mean and deviation, and the differences."""
    names = list(dict.fromkeys(row["metric"] for row in rows))
    figure = Figure((9, 0.6 + 2.6 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 2, squeeze=False)
    for name, (left, right) in zip(names, axes, strict=True):
        chosen = [row for row in rows if row["metric"] == name]
        places = range(len(chosen))
        labels = [row["run"] for row in chosen]
        left.errorbar(
            [row["mean"] for row in chosen],
            places,
            xerr=np.nan_to_num([row["std"] for row in chosen]),
            fmt="o",
            capsize=4,
        )
        left.set_yticks(places, labels)
        left.set_title(f"{name}: mean and standard deviation")
        others = chosen[1:]
        difference = np.array([row["difference"] for row in others])
        high = np.array([row["high"] for row in others])
        right.errorbar(
            difference,
            places[1:],
            xerr=np.nan_to_num(high - difference),
            fmt="o",
            capsize=4,
        )
        right.axvline(0, color="grey", linewidth=1)
        right.set_yticks(places[1:], labels[1:])
        right.set_ylim(left.get_ylim())
        right.set_title(f"difference to {labels[0]}, {confidence:.0%} interval")
        for axis in (left, right):
            axis.invert_yaxis()
    figure.savefig(path, dpi=120)


def main(options):
    if len({*options.runs}) < 2 or len({*options.runs}) < len(options.runs):
        raise ValueError(
            f"Give at least two different runs. Received: runs={options.runs}"
        )
    if not 0 < options.confidence < 1:
        raise ValueError(
            "--confidence is between 0 and 1. "
            f"Received: confidence={options.confidence}"
        )
    common = os.path.commonpath([run.absolute() for run in options.runs])
    runs = {
        os.path.relpath(run.absolute(), common): read(run)
        for run in options.runs
    }
    names = options.metrics or metric_names(runs)
    if not names:
        raise ValueError(
            "The runs have no metric in common: compare runs of one task. "
            f"Received: runs={options.runs}"
        )
    rows = compare(runs, names, options.confidence, options.scale)
    write_table(options.out / "compare.csv", rows)
    print_table(
        f"Differences to {next(iter(runs))}, paired by seed, with "
        f"{options.confidence:.0%} intervals",
        rows,
    )
    draw(rows, options.confidence, options.out / "compare.png")
    print(f"-> {options.out}/compare.csv, compare.png")
    return rows


if __name__ == "__main__":
    main(tyro.cli(Options))
