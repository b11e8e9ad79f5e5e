"""Rows, tables and the picture of recipes.graphs.probe."""

import numpy as np
import tabulate
from matplotlib.figure import Figure

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import files

HEADS, TREES = "dependency heads", "dependency trees"
NAMES = "pronoun's name"
NGRAMS = {
    f"{target} of {count}": (target, length)
    for target in ("occurrence", "successor")
    for length, count in ((1, "a word"), (2, "two words"))
}
"""What induction is asked, as target and length of the n-gram."""
SIDES = {"forward": "before", "backward": "after", "both": "both"}
KINDS = ("learned", "untrained", "offset", "distance decay")
OFFSETS = (1, 2, 3, 4, 5)
MOST_RELATIONS = 20
LONGEST = 8  # words, of the table by distance
LIMITS = """\
A row of a forward graph can name words before its own alone, a row of a
backward graph words after it. So "before" and "after" are asked of one
direction each, and "both" is the score of a pair of heads whose reader knows
on which side the answer is: it is no parser. Roots are not asked. Where the
best of many heads is chosen and measured on the same file, its number and
interval are too favourable. A head that finds heads of words well need not
have learned syntax: compare it with the offsets, the distance and the
untrained predictor. "Occurrence" is an earlier (after: later) place of the
same words, "successor" the word after (before) it."""


def rule_rows(options, tallies, others, chosen):
    """Returns a row for each chosen rule, and for pairs of both sides.

    Args:
        options: `Options`.
        tallies: dict of `Tally` by question, kind and side.
        others: the same of the test file, or None.
        chosen: dict of the index of the rule by the same keys.
    """
    parts = [
        {
            key: tally.rule(chosen[key])
            for key, tally in part.items()
            if key in chosen and tally.total.any()
        }
        for part in (tallies, others or {})
    ]
    names = {key: rule_name(key[1], index) for key, index in chosen.items()}
    for kind in dict.fromkeys(key[1] for key in tallies if key[0] == HEADS):
        sides = [(HEADS, kind, side) for side in DIRECTIONS]
        for part in parts:
            if all(key in part for key in sides):
                both = " and ".join(names[key] for key in sides)
                names[HEADS, kind, "both"] = both
                part[HEADS, kind, "both"] = part[sides[0]] + part[sides[1]]
    return [
        {
            "question": key[0],
            "side": SIDES[key[2]],
            "kind": key[1],
            "rule": names[key],
            **measured("", parts[0], key, options),
            **(
                measured("test_", parts[1], key, options)
                if key in parts[1]
                else {}
            ),
        }
        for key in sorted(parts[0], key=_order)
    ]


def _order(key):
    question, kind, side = key
    questions = (HEADS, TREES, NAMES, *NGRAMS)
    return (
        questions.index(question),
        list(SIDES).index(side),
        KINDS.index(kind),
    )


def rule_name(kind, index):
    """Returns a name for the best rule of a kind."""
    if kind == "offset":
        return f"offset {OFFSETS[index[1]]}"
    if kind == "distance decay" or not index:
        return kind
    return f"head {index[0] + 1}.{index[1] + 1}"


def measured(prefix, tallies, key, options):
    """Returns accuracy and interval, of a predictor also the gain.

    The gain is over the best rule of the same question and side that is not
    of the trained predictor.
    """
    tally = tallies[key]
    draw = {"resamples": options.resamples, "seed": options.seed}
    low, high = tally.interval(**draw)
    row = {
        f"{prefix}asked": int(tally.total.sum()),
        f"{prefix}accuracy": float(tally.accuracy()),
        f"{prefix}low": float(low),
        f"{prefix}high": float(high),
    }
    others = [
        other
        for (question, kind, side), other in tallies.items()
        if question == key[0] and kind != "learned"
        if side == key[2] or kind == "distance decay"
    ]
    if key[1] == "learned" and others:
        best = max(others, key=lambda other: other.accuracy())
        low, high = tally.interval(best, **draw)
        row[f"{prefix}gain"] = float(tally.accuracy() - best.accuracy())
        row |= {
            f"{prefix}gain_low": float(low),
            f"{prefix}gain_high": float(high),
        }
    return row


def head_rows(tallies):
    """Returns a row for each question and head of the trained predictor."""
    return [
        {
            "question": question,
            "side": SIDES[side],
            "layer": layer + 1,
            "head": head + 1,
            "accuracy": float(accuracy),
        }
        for (question, kind, side), tally in tallies.items()
        if kind == "learned" and side in DIRECTIONS
        for (layer, head), accuracy in np.ndenumerate(tally.accuracy())
    ]


def write(results, out):
    """Prints the tables and writes probes.md, .json, .png and heads.csv.

    Args:
        results: dict of `recipes.graphs.probe.main`.
        out: path of the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    text = section(results)
    print(text)
    # The section comes last: a model card takes it for that of the others.
    (out / "probes.md").unlink(missing_ok=True)
    files.write_json(out / "probes.json", results)
    files.write_csv(out / "heads.csv", results["heads"])
    draw(results, out / "probes.png")
    with files.atomic_file(out / "probes.md") as file:
        file.write(text)
    print(f"-> {out}/probes.md, probes.json, heads.csv, probes.png")


def section(results):
    """Returns the section of a model card, Markdown."""
    lines = ["## Probes", "", LIMITS, "", rule_table(results["rules"])]
    for by, rows in (
        ("relation", results.get("by_relation", [])[:MOST_RELATIONS]),
        (
            "distance",
            [
                row
                for row in results.get("by_distance", [])
                if abs(row["distance"]) <= LONGEST
            ],
        ),
    ):
        if rows:
            lines += ["", f"Dependency heads by {by}, per cent:", ""]
            lines += [percent_table(rows)]
    return "\n".join(lines) + "\n"


def rule_table(rows):
    """Returns the table of the chosen rules, per cent with intervals."""
    prefixes = (
        ["", "test_"] if any("test_asked" in row for row in rows) else [""]
    )
    table = []
    for row in rows:
        kind = row["kind"]
        cells = {
            "question": row["question"],
            "side": row["side"],
            "rule": row["rule"] if kind == "offset" else kind,
        }
        if row["rule"].startswith("head"):
            cells["rule"] = f"{kind}, {row['rule']}"
        for prefix in prefixes:
            if f"{prefix}asked" in row:
                name = prefix.replace("_", " ")
                cells[f"{name}asked"] = row[f"{prefix}asked"]
                cells[f"{name}right, %"] = with_interval(row, prefix, "")
                cells[f"{name}gain"] = with_interval(row, prefix, "gain")
        table.append(cells)
    return tabulate.tabulate(table, "keys", "github", intfmt=",")


def with_interval(row, prefix, name):
    """Returns `31.2 (30.1 to 32.0)`, in per cent."""
    names = (
        ("gain", "gain_low", "gain_high")
        if name
        else ("accuracy", "low", "high")
    )
    if f"{prefix}{names[0]}" not in row:
        return ""
    value, low, high = (100 * row[f"{prefix}{name}"] for name in names)
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def percent_table(rows):
    """Returns a table whose shares are per cent."""
    rows = [
        {
            name: 100 * value if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    return tabulate.tabulate(rows, "keys", "github", floatfmt=".1f", intfmt=",")


def draw(results, path):
    """Draws the accuracy of every head, with the best of the other rules."""
    questions = list(
        dict.fromkeys(
            (row["question"], row["side"]) for row in results["heads"]
        )
    )
    columns = 4 if len(questions) > 4 else len(questions)
    rows = -(-len(questions) // columns)
    figure = Figure((3.2 * columns, 2.6 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(questions) :]:
        axes.remove()
    for (question, side), axes in zip(questions, panels.flat, strict=False):
        heads = [
            row
            for row in results["heads"]
            if (row["question"], row["side"]) == (question, side)
        ]
        for layer in sorted({row["layer"] for row in heads}):
            values = [r["accuracy"] for r in heads if r["layer"] == layer]
            at = layer + np.linspace(-0.25, 0.25, len(values))
            axes.plot(at, 100 * np.array(values), "o", markersize=4)
        for row, style in zip(
            others(results, question, side), ("--", ":", "-."), strict=False
        ):
            axes.axhline(
                100 * row["accuracy"],
                color="0.3",
                linestyle=style,
                linewidth=1,
                label=row["kind"],
            )
        axes.set_title(f"{question}, {side}", fontsize=9)
        axes.set_xticks(sorted({row["layer"] for row in heads}))
        axes.set_ylim(0, max(1, 1.08 * axes.dataLim.y1))
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7)
    figure.supxlabel("graph layer (a point a head)", fontsize=9)
    figure.supylabel("right, %", fontsize=9)
    figure.savefig(path)


def others(results, question, side):
    """Returns the best rules that are not of the trained predictor."""
    return [
        row
        for row in results["rules"]
        if row["question"] == question
        and (row["side"] == side or row["kind"] == "distance decay")
        and row["kind"] != "learned"
    ]
