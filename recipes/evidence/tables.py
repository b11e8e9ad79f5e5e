"""Tables of the evidence page, as Markdown."""

import math
import shlex
import textwrap

import numpy as np
import tabulate

from recipes.evidence import runs
from recipes.tasks.compare import differing
from recipes.tasks.compare import paired

SHOWN = 5
"""Names of options or data that a note lists."""
SAME_SIZE = 1.05
"""Modes whose numbers of parameters differ by a larger ratio get a note."""


def flags(values, defaults=None):
    """Returns a list of options as they are written on a command line.

    Args:
        values: dict of an option's name to its value.
        defaults: dict of values that are left out. Defaults to none.
    """
    words = []
    for name, value in values.items():
        if name in (defaults or {}) and value == defaults[name]:
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            given = value if isinstance(value, list) else [value]
            text = " ".join(shlex.quote(str(x)) for x in given)
            words.append(f"--{flag} {text}".rstrip())
    return words


def command(recipe, *words):
    """Returns a command as a block of Markdown, cut between the words."""
    glued = [x.replace(" ", "\0") for x in (f"python -m {recipe}", *words)]
    rows = textwrap.wrap(
        " ".join(glued), 84, break_long_words=False, break_on_hyphens=False
    )
    rows = [row.replace("\0", " ") for row in rows]
    return "```bash\n" + " \\\n    ".join(rows) + "\n```"


def section(recipe, lines, size):
    """Returns command, table and notes for one number of labels.

    Args:
        recipe: str.
        lines: list of `runs.Line`.
        size: number of labelled examples.
    """
    task = runs.TASKS[recipe]
    lines = [line for line in lines if size in line.results]
    names = differing([x.options for x in lines])
    rows = [row(recipe, lines, line, size, names) for line in lines]
    table = tabulate.tabulate(
        rows, headers="keys", tablefmt="github", disable_numparse=True
    )
    return "\n\n".join(
        [
            f"### {size:,} {task.unit}",
            run_command(recipe, lines, size, names),
            table,
            *(verdict(lines, size, metric) for metric in task.metrics),
            *notes(recipe, lines, size, names),
        ]
    )


def run_command(recipe, lines, size, names):
    """Returns the command of a table's runs, OPTIONS for those of a row."""
    shared = {
        name: value
        for line in lines
        for name, value in line.options.items()
        if name not in names
    }
    seeds = max((line.results[size] for line in lines), key=len)
    first = [f"--first-seed {min(seeds)}"] if min(seeds) else []
    return command(
        recipe,
        *flags(shared, runs.defaults(recipe)),
        *flags(lines[0].sized[size]),
        *(["OPTIONS"] if names else []),
        *first,
        f"--seeds {len(seeds)}",
        "--out OUT",
    )


def row(recipe, lines, line, size, names):
    """Returns the row of a line: options, means, differences."""
    usual = runs.defaults(recipe)
    own = {n: line.options[n] for n in names if n in line.options}
    own = {n: x for n, x in own.items() if x or x != usual.get(n)}
    task = runs.TASKS[recipe]
    cells = {
        "mode": line.label,
        "OPTIONS": f"`{' '.join(flags(own))}`" if own else "",
        "seeds": len(line.results[size]),
    }
    for metric, scale in task.metrics.items():
        title = metric.replace("_", " ")
        values = line.values(size, metric, scale)
        cells[title] = with_deviation([*values.values()])
        cells[f"{title}: difference"] = ""
        found = gain_over_best(lines, line, size, metric, scale)
        if found is not None:
            best, gain = found
            cells[f"{title}: difference"] = (
                f"{interval(gain)} to {best.label}, {pairs(gain['pairs'])}"
            )
        decay = decay_for(lines, line)
        if decay is not None:
            cells[f"{title}: to decay"] = ""
            own, others = (x.values(size, metric, scale) for x in (line, decay))
            if line is not decay and own.keys() & others.keys():
                gain = paired(own, others)
                cells[f"{title}: to decay"] = interval(gain)
    if not names:
        del cells["OPTIONS"]
    return cells


def pairs(count):
    """Returns a number of pairs as text."""
    return f"{count} pair" + "s" * (count != 1)


def decay_for(lines, line):
    """Returns the line of decay in the same placement, else any, or None."""
    decays = {
        x.mode.removeprefix("decay"): x
        for x in lines
        if x.source == "decay" and "," not in x.mode
    }
    place = line.mode.removeprefix(line.source)
    return decays.get(place, next(iter(decays.values()), None))


def gain_over_best(lines, line, size, metric, scale=1.0):
    """Compares a line with its best control, paired by seed.

    Returns:
        Tuple of that control and what `compare.paired` returns, or None
        without a control.
    """
    best = best_control(lines, line, size, metric)
    if best is None:
        return None
    values = (x.values(size, metric, scale) for x in (line, best))
    return best, paired(*values)


def best_control(lines, line, size, metric):
    """Returns the other control with the highest mean, None without one.

    It has a seed in common with the line, two if there is such a control.
    """
    seeds = set(line.results[size])

    def rank(control):
        values = control.values(size, metric)
        return min(len(seeds & set(values)), 2), np.mean([*values.values()])

    controls = [
        other
        for other in lines
        if other.is_control
        and other is not line
        and other.features == line.features
        and seeds & set(other.values(size, metric))
    ]
    return max(controls, key=rank, default=None)


def verdict(lines, size, metric):
    """Says which modes are better than the best control."""
    title, better = metric.replace("_", " "), []
    if not any(line.is_control for line in lines):
        return f"In {title}, there is no control to compare with."
    for line in lines:
        found = gain_over_best(lines, line, size, metric)
        if found is None or line.is_control:
            continue
        # Equal differences have no interval, and prove nothing.
        if found[1]["high"] > found[1]["low"] > 0:
            better.append(line.label)
    if better:
        return (
            f"In {title}, above the best control with a 95 % interval above "
            f"zero: **{'; '.join(better)}**."
        )
    return (
        f"In {title}, **no mode** is above the best control with a 95 % "
        "interval above zero."
    )


def notes(recipe, lines, size, names):
    """Returns what a reader has to know of a table."""
    found = []
    others = [name for name in names if name not in runs.MODE_OPTIONS]
    sized = [line.sized[size] for line in lines]
    others += [
        name
        for name in runs.SIZE_OPTIONS
        if len({str(options.get(name)) for options in sized}) > 1
    ]
    if others:
        found.append(
            "These rows differ in more than the mode and the seed: "
            f"{listed(others)}. Their differences are not due to the mode "
            "alone."
        )
    if any(
        options.get("train_examples") is not None
        and options["train_examples"] == options.get("limit")
        for options in sized
    ):
        found.append(
            "All seeds trained on the same examples, since `--limit` leaves no "
            "more than `--train-examples`: the intervals are over what else a "
            "seed draws."
        )
    found += notes_on_parameters(lines, size)
    values = {}
    for line in lines:
        for facts in line.data[size]:
            for name, value in facts.items():
                if value is not None:
                    values.setdefault(name, set()).add(str(value))
    differ = sorted(name for name, seen in values.items() if len(seen) > 1)
    if differ:
        found.append(
            f"The data of these runs were not the same: {listed(differ)} "
            "differ in data.json."
        )
    modes = {line.source for line in lines if line.is_control}
    missing = [x for x in runs.controls(recipe) if x not in modes]
    if missing:
        found.append(f"Controls without a finished run: {', '.join(missing)}.")
    return found


def notes_on_parameters(lines, size):
    """Returns where modes of the same features train unlike numbers."""
    groups = {}
    for line in lines:
        if line.source != "none" and "pretrained" not in line.mode:
            for row in line.results[size].values():
                if "trained_parameters" in row:
                    counts = groups.setdefault(line.features, {})
                    counts[line.label] = row["trained_parameters"]
    return [
        "These modes train different numbers of parameters: "
        + ", ".join(f"{name} {count:,}" for name, count in counts.items())
        + "."
        for counts in groups.values()
        if max(counts.values()) > SAME_SIZE * min(counts.values())
    ]


def listed(names):
    """Returns names as text, a few of them if there are many."""
    text = ", ".join(f"`{name}`" for name in names[:SHOWN])
    rest = len(names) - SHOWN
    return f"{text} and {rest} more" if rest > 0 else text


def with_deviation(numbers):
    """Returns `81.20 ± 0.31`, without the deviation of a single number."""
    text = f"{np.mean(numbers):.2f}"
    return (
        f"{text} ± {np.std(numbers, ddof=1):.2f}" if len(numbers) > 1 else text
    )


def interval(gain):
    """Returns `+0.31 (-0.10 to 0.72)`, or the difference alone."""
    text = f"{gain['difference']:+.2f}"
    if not math.isnan(gain["low"]):
        text += f" ({gain['low']:.2f} to {gain['high']:.2f})"
    return text
