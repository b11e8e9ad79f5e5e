r"""Compares runs of a task over their seeds.

    python -m recipes.tasks.compare runs/imdb/none runs/imdb/predicted \
        runs/imdb/uniform --out runs/imdb/compare

RUNS are folders of the recipes of tasks, each with `seed-N/metrics.json`; the
first is the baseline. Says in which options and data the runs differ (names
that some runs lack do not count), and prints, for each metric, mean and
standard deviation over the seeds and the difference to the baseline, paired by
seed, with its 95 % confidence interval (Student's t; none for a single seed).
Writes the same to OUT/compare.csv and a plot to OUT/compare.png.
"""

import dataclasses
import math
import os
import pathlib

import numpy as np
import tabulate
import tyro
from matplotlib.figure import Figure
from scipy import stats

from glomo_keras.utils import files
from recipes.common import refuse


@dataclasses.dataclass
class Options:
    """Prints means, deviations and paired differences of runs."""

    runs: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """Folders with seed-N/metrics.json; the first is the baseline."""
    metrics: tuple[str, ...] = ()
    """Names of metrics; none given: all numbers that are not val_..."""
    scale: float = 1.0
    """Factor of the numbers: 100 turns shares into percentages."""
    out: pathlib.Path = pathlib.Path("runs/compare")
    """Folder of the CSV file and the plot."""


def main(options):
    """Runs the recipe; returns the rows of the table."""
    check(options)
    runs = load(options)
    names = options.metrics or metric_names(runs)
    if not names:
        raise ValueError(
            "The runs have no metric in common: compare runs of one task. "
            f"Received: runs={options.runs}"
        )
    for name in ("config.json", "data.json"):
        paths = [p for run in options.runs for p in run.glob(f"seed-*/{name}")]
        found = differing([files.read_json(path) for path in sorted(paths)])
        found = ", ".join(x for x in found if x != "seed")
        print(f"The runs differ in {found or 'nothing'} of {name}.")
    rows = [row for name in names for row in compare(options, runs, name)]
    report(options, rows)
    return rows


def check(options):
    """Refuses options out of their range, before any work."""
    if len({*options.runs}) < max(2, len(options.runs)):
        refuse("runs", "at least two different runs", options)


def load(options):
    """Reads the metrics of the finished seeds.

    Returns:
        Dict of a run's name to a dict of seed to metrics.

    Raises:
        ValueError: If no seed of a run is finished.
    """
    common = os.path.commonpath([run.absolute() for run in options.runs])
    runs = {}
    for run in options.runs:
        paths = sorted(run.glob("seed-*/metrics.json"))
        if not paths:
            raise ValueError(
                "A run is a folder with seed-N/metrics.json, which a run "
                f"writes when it is finished. Received: {run}"
            )
        rows = [files.read_json(path) for path in paths]
        name = os.path.relpath(run.absolute(), common)
        runs[name] = {row["seed"]: row for row in rows}
    return runs


def differing(contents):
    """Returns the names of entries that differ between dicts that have them."""
    names = dict.fromkeys(name for each in contents for name in each)
    return [
        name
        for name in names
        if len({str(x[name]) for x in contents if name in x}) > 1
    ]


def metric_names(runs):
    """Returns the metrics that all runs have, fractional numbers alone."""
    rows = [row for run in runs.values() for row in run.values()]
    return [
        name
        for name in rows[0]
        if not name.startswith("val_")
        and all(isinstance(row.get(name), float) for row in rows)
    ]


def compare(options, runs, name):
    """Compares one metric; returns a row for each run.

    Raises:
        ValueError: If a seed lacks the metric.
    """
    baseline, rows = None, []
    for run, seeds in runs.items():
        values = {seed: _number(row, name, run) for seed, row in seeds.items()}
        values = {seed: options.scale * x for seed, x in values.items()}
        numbers = np.array(list(values.values()))
        row = {
            "metric": name,
            "run": run,
            "seeds": len(numbers),
            "mean": numbers.mean(),
            "std": numbers.std(ddof=1) if len(numbers) > 1 else math.nan,
        }
        if baseline is None:
            baseline = values
            names = ("pairs", "difference", "low", "high", "p")
            rows.append(row | dict.fromkeys(names, ""))
        else:
            rows.append(row | paired(values, baseline))
    return rows


def _number(row, name, run):
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"Every seed of {run} needs the number {name!r}. "
            f"Received: {name}={value!r} in seed {row['seed']}"
        )
    return value


def paired(values, others):
    """Returns the mean difference over the seeds that both have.

    Args:
        values: dict of seed to number.
        others: dict of seed to number, subtracted.

    Returns:
        Dict of `pairs`, `difference`, `low` and `high` of the 95 % interval
        and the two-sided `p`; the last three are NaN for less than two pairs.
    """
    seeds = set(values) & set(others)
    row = mean_of_seeds({seed: values[seed] - others[seed] for seed in seeds})
    return {"pairs": row.pop("seeds"), "difference": row.pop("mean"), **row}


def mean_of_seeds(values):
    """Returns the mean over the seeds, with its interval.

    Args:
        values: dict of seed to number.

    Returns:
        Dict of `seeds`, how many, `mean`, and `low`, `high` and `p` as those
        of `paired`.
    """
    numbers = np.array([values[seed] for seed in sorted(values)], "float64")
    low = high = p = math.nan
    if len(numbers) > 1 and np.ptp(numbers) > 1e-9:  # not rounding
        test = stats.ttest_1samp(numbers, 0)
        low, high = test.confidence_interval(0.95)
        p = test.pvalue
    elif len(numbers) > 1:
        low = high = numbers.mean()
    return {
        "seeds": len(numbers),
        "mean": numbers.mean() if len(numbers) else math.nan,
        "low": low,
        "high": high,
        "p": p,
    }


def report(options, rows):
    """Prints the table, and writes it as CSV and as a plot."""
    print(
        f"Differences to {rows[0]['run']}, paired by seed, with 95% intervals"
    )
    print(tabulate.tabulate(rows, headers="keys", floatfmt=".4g"))
    options.out.mkdir(parents=True, exist_ok=True)
    files.write_csv(options.out / "compare.csv", rows)
    draw(options, rows)
    print(f"-> {options.out}/compare.csv, compare.png")


def draw(options, rows):
    """Draws means with deviations, and differences with intervals."""
    names = list(dict.fromkeys(row["metric"] for row in rows))
    figure = Figure((9, 0.6 + 2.6 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 2, squeeze=False)
    for name, (left, right) in zip(names, axes, strict=True):
        baseline, *others = [row for row in rows if row["metric"] == name]
        for row in (baseline, *others):
            deviation = np.nan_to_num(row["std"])
            left.errorbar(row["mean"], row["run"], xerr=deviation, fmt="o")
        for row in others:
            reach = np.nan_to_num(row["high"] - row["difference"])
            right.errorbar(row["difference"], row["run"], xerr=reach, fmt="o")
        right.axvline(0, color="grey", linewidth=1)
        left.set_title(f"{name}: mean and standard deviation")
        right.set_title(f"difference to {baseline['run']}, 95% interval")
        for axis in (left, right):
            axis.invert_yaxis()
    figure.savefig(options.out / "compare.png", dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Options))
