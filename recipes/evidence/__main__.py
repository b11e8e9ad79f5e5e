r"""Writes the page of all results: tables, plots, and what made them.

    python -m recipes.evidence --runs runs --out docs

Reads every run of a task below `--runs`, whatever its mode, seed and number of
labels, and every table of `recipes.graphs.transfer_perplexity` and
`recipes.graphs.ablations`. Writes OUT/evidence.md, a plot for each task,
OUT/evidence_TASK.png, and OUT/evidence.jsonl, what the page is made of. The
runs of an evidence.jsonl that is there stay on the page; their folders are not
needed any more.

A table has the mean and standard deviation over the seeds, and the difference
of each mode to the best other of the controls (none, matched, uniform,
random), paired by seed, with its 95 % interval (Student's t). It names the
command that made the runs, and says so where compared runs differ in more than
mode and seed, or in their data. Runs that are not finished are named.
"""

import dataclasses
import pathlib

import tyro

from glomo_keras.utils import files
from recipes.evidence import measured
from recipes.evidence import plots
from recipes.evidence import records
from recipes.evidence import runs
from recipes.evidence import tables

INTRODUCTION = """\
# Evidence

Whether graphs help, as measured: made by
`python -m recipes.evidence --runs docs/evidence.jsonl --out docs` from the
numbers of all runs.

A cell has the mean ± the standard deviation over the seeds. A difference is
that to the best other control, paired by seed, with its 95 % interval
(Student's t). Controls are `none` (no graphs), `matched` (no graphs, as many
trained parameters), `uniform` (equal weights) and `random` (an untrained
predictor); `decay` (weights by distance alone, at trained rates) is not one of
them, but tells what distance is worth, and has a column of its own. The best
control is chosen by the same test results, which favours it; the intervals are
not corrected for the number of comparisons. A command stands for the runs of
all rows of a table: OPTIONS are those of the row."""


@dataclasses.dataclass
class Options:
    """Writes the page of all results."""

    runs: tuple[pathlib.Path, ...]
    """Folders that have run folders at any depth; files evidence.jsonl."""
    out: pathlib.Path
    """Folder of evidence.md, its plots and evidence.jsonl."""


def main(options):
    """Runs the recipe; returns the text of the page."""
    kept = options.out / "evidence.jsonl"
    read = records.read([*options.runs, *([kept] if kept.exists() else [])])
    found = runs.lines_of(read)
    measurements = measured.parts(read)
    if not found and not measurements:
        raise ValueError(
            "There must be folders of runs of tasks, .../seed-N/config.json, "
            f"or runs.csv of measurements. Received: runs={options.runs}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    records.write(read, kept)
    parts = [INTRODUCTION]
    for (recipe, rnn), lines in found.items():
        parts += task_parts(options, recipe, rnn, lines)
    parts += measurements
    page = "\n\n".join(parts) + "\n"
    with files.atomic_file(options.out / "evidence.md") as file:
        file.write(page)
    print(f"-> {options.out}/evidence.md")
    return page


def task_parts(options, recipe, rnn, lines):
    """Returns the section of a task; draws its plot."""
    title = runs.TASKS[recipe].title + ("" if rnn else ", without an RNN")
    parts = [f"## {title}"]
    sizes = sorted({size for line in lines for size in line.results})
    if sizes:
        task = recipe.rpartition(".")[2]
        name = f"evidence_{task}{'' if rnn else '_no_rnn'}.png"
        plots.draw(recipe, title, lines, options.out / name)
        parts.append(f"![Means and differences by mode]({name})")
    parts += [tables.section(recipe, lines, size) for size in sizes]
    faults = [fault for line in lines for fault in line.faults]
    if faults:
        parts.append(
            "\n".join(["Not in the tables:\n", *(f"* {x}" for x in faults)])
        )
    return parts


if __name__ == "__main__":
    main(tyro.cli(Options))
