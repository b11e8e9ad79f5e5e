r"""Accuracy by the number of labelled examples, for several kinds of graphs.

    python -m recipes.tasks.label_efficiency runs/pos_tags \
        --size train_sentences --out runs/pos_tags/report

RUNS is a folder of runs of one task: RUNS/MODE-SIZE/seed-N/metrics.json, such
as `predicted-300/seed-0`; each run's metrics have its `--size`. Writes
OUT/table.md, means and standard deviations over the seeds by mode and size,
with the gain of `--mode` over the best of the other modes, paired by seed,
and its 95 % interval (Student's t); and OUT/label_efficiency.png, the curves
with bands of one standard deviation.
"""

import dataclasses
import pathlib
import re

import numpy as np
import tabulate
import tyro
from matplotlib.figure import Figure

from glomo_keras.utils import files
from recipes.tasks.compare import paired


@dataclasses.dataclass
class Options:
    """Writes a table and curves of a task's runs."""

    runs: tyro.conf.Positional[pathlib.Path]
    """Folder with MODE-SIZE/seed-N/metrics.json."""
    size: str
    """Name of the number of labelled examples in the metrics."""
    metric: str = "test_accuracy"
    mode: str = "predicted"
    """The mode whose gain is computed."""
    scale: float = 100.0
    """Factor of the metric: 100 for per cent."""
    out: pathlib.Path = pathlib.Path("runs/label_efficiency")


def main(options):
    """Runs the recipe; returns the rows of the table."""
    values = load(options)
    modes = sorted({m for m, _ in values}, key=lambda m: (m != "none", m))
    sizes = sorted({size for _, size in values})
    rows = [row_of(options, values, modes, size) for size in sizes]
    table = tabulate.tabulate(rows, headers="keys", tablefmt="github")
    print(table)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "table.md").write_text(table + "\n", encoding="utf-8")
    draw(options, values, modes, sizes)
    print(f"-> {options.out}/table.md, label_efficiency.png")
    return rows


def load(options):
    """Returns a dict of `(mode, size)` to a dict of seed to number.

    Raises:
        ValueError: no run is finished, a run lacks a number, or one folder
            holds runs of several sizes.
    """
    found = {}
    for path in sorted(options.runs.glob("*-*/seed-*/metrics.json")):
        metrics = files.read_json(path)
        missing = {options.size, options.metric} - set(metrics)
        if missing:
            raise ValueError(
                f"Every run must have the numbers --size and --metric. "
                f"Received: {path} without {sorted(missing)}"
            )
        mode = re.sub(r"-[^-]*$", "", path.parents[1].name)
        key = mode, metrics[options.size]
        seeds = found.setdefault(key, {})
        seeds[metrics["seed"]] = options.scale * metrics[options.metric]
    if not any(mode == options.mode for mode, _ in found):
        raise ValueError(
            f"There must be finished runs of --mode, in folders MODE-SIZE. "
            f"Received: mode={options.mode}, and in {options.runs} the modes "
            f"{sorted({mode for mode, _ in found})}"
        )
    return found


def row_of(options, values, modes, size):
    """Returns the row of a size: all modes, and the gain."""
    row = {options.size: size}
    for mode in modes:
        numbers = list(values.get((mode, size), {}).values())
        row[mode] = with_deviation(numbers) if numbers else ""
    own = values.get((options.mode, size))
    others = {
        mode: values[mode, size]
        for mode in modes
        if mode != options.mode and (mode, size) in values
    }
    if own and others:
        best = max(others, key=lambda mode: np.mean([*others[mode].values()]))
        gain = paired(own, others[best])
        row["gain"] = (
            f"{gain['difference']:+.2f} ({gain['low']:.2f} to "
            f"{gain['high']:.2f}) over {best}, {gain['pairs']} seeds"
        )
    return row


def with_deviation(numbers):
    """Returns `81.20 ± 0.31`, without the deviation of a single number."""
    text = f"{np.mean(numbers):.2f}"
    return (
        f"{text} ± {np.std(numbers, ddof=1):.2f}" if len(numbers) > 1 else text
    )


def draw(options, values, modes, sizes):
    """Draws the mean of each mode by size, with bands of one deviation."""
    figure = Figure((6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for mode in modes:
        own = [size for size in sizes if (mode, size) in values]
        numbers = [[*values[mode, size].values()] for size in own]
        means = np.array([np.mean(x) for x in numbers])
        spread = np.array([np.std(x, ddof=len(x) > 1) for x in numbers])
        width = 2.5 if mode == options.mode else 1.2
        (line,) = axes.plot(own, means, marker="o", label=mode, linewidth=width)
        axes.fill_between(
            own,
            means - spread,
            means + spread,
            color=line.get_color(),
            alpha=0.12,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel(options.size.replace("_", " "))
    axes.set_ylabel(options.metric.replace("_", " "))
    axes.legend()
    figure.savefig(options.out / "label_efficiency.png", dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Options))
