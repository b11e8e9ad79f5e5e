"""Plots of the evidence page: means and differences, with 95 % intervals."""

import numpy as np
from matplotlib.figure import Figure

from recipes.evidence import runs
from recipes.evidence.tables import gain_over_best
from recipes.tasks.compare import mean_of_seeds


def draw(recipe, title, lines, path):
    """Draws a task: for each metric its means, and the differences.

    Args:
        recipe: str.
        title: str, above the plot.
        lines: list of `runs.Line`.
        path: of the PNG file.
    """
    task = runs.TASKS[recipe]
    sizes = sorted({size for line in lines for size in line.results})
    rows = len(task.metrics)
    figure = Figure((11, 1 + 4 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    for metric, (left, right) in zip(task.metrics, axes, strict=True):
        draw_means(left, task, lines, sizes, metric)
        draw_differences(right, task, lines, sizes, metric)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def draw_means(axes, task, lines, sizes, metric):
    """Draws each mode's mean by size, with a band of its 95 % interval."""
    for number, line in enumerate(lines):
        style = {"color": f"C{number % 10}", "marker": "os^D"[number // 10 % 4]}
        if not line.is_control:
            style["linewidth"] = 2.5
        own = [size for size in sizes if size in line.results]
        found = [
            mean_and_reach(line.values(size, metric, task.metrics[metric]))
            for size in own
        ]
        means, reaches = np.array(found).reshape(-1, 2).T
        if len(sizes) > 1:
            axes.plot(own, means, label=line.label, **style)
            axes.fill_between(
                own,
                means - reaches,
                means + reaches,
                color=style["color"],
                alpha=0.12,
                linewidth=0,
            )
        else:
            axes.errorbar(
                [number] * len(own),
                means,
                np.nan_to_num(reaches),
                label=line.label,
                capsize=4,
                linestyle="",
                **style,
            )
    show_sizes(axes, task, sizes)
    axes.set_ylabel(metric.replace("_", " "))
    axes.set_title("mean, with its 95 % interval")


def draw_differences(axes, task, lines, sizes, metric):
    """Draws the paired difference of each mode to the best control."""
    for number, line in enumerate(lines):
        found = {}
        for size in sizes:
            if size not in line.results:
                continue
            scale = task.metrics[metric]
            gain = gain_over_best(lines, line, size, metric, scale)
            if gain is not None:
                found[size] = gain[1]
        # Side by side, on an axis of sizes that is logarithmic.
        shift = number - (len(lines) - 1) / 2
        places = [
            size * 1.03**shift if len(sizes) > 1 else number for size in found
        ]
        middles = [gain["difference"] for gain in found.values()]
        reaches = [gain["high"] - gain["difference"] for gain in found.values()]
        axes.errorbar(
            places,
            middles,
            np.nan_to_num(reaches),
            color=f"C{number % 10}",
            marker="o",
            capsize=3,
            linestyle="",
        )
    axes.axhline(0, color="grey", linewidth=1)
    show_sizes(axes, task, sizes)
    axes.set_title("difference to the best control, 95 % interval")


def show_sizes(axes, task, sizes):
    """Labels the axis of sizes; a single one stands below."""
    name = f"{task.unit} for training"
    if len(sizes) > 1:
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel(name)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{name}: {sizes[0]:,}")


def mean_and_reach(values):
    """Returns the mean over the seeds and half of its 95 % interval.

    The reach is that of Student's t, NaN for a single seed.
    """
    found = mean_of_seeds(values)
    return found["mean"], found["high"] - found["mean"]
