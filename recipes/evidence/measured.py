"""Sections of the tables of perplexities under frozen graphs."""

import json

import tabulate

from recipes.evidence import runs
from recipes.evidence import tables
from recipes.graphs import ablations
from recipes.graphs import transfer_perplexity

INSTRUMENT = """\
## Graphs under fresh features

Perplexity of held-out text for features that have never seen the predictor,
under frozen graphs of several sources. Columns have its ratio to that under
other graphs, paired by seed, with the 95 % interval; below 1 is better."""
ABLATIONS = """\
## What each part of the method is worth

Table 2 of the paper, measured by the perplexity of fresh features under frozen
graphs. Each row is pretrained like the full model but lacks one part. Means
over the seeds with 95 % intervals, and ratios to the full model, paired by
seed; a ratio above 1 means that the part helps."""


def parts(read):
    """Returns the sections, as far as there are measurements.

    Args:
        read: list of records, see `records.read`.
    """
    found = {INSTRUMENT: [], ABLATIONS: []}
    for settings, measured in grouped(read):
        if "predictor" in settings:
            recipe, title, table = transfer_perplexity, INSTRUMENT, instrument
        else:
            recipe, title, table = ablations, ABLATIONS, ablation
        found[title] += [command(recipe, settings, measured), table(measured)]
    return [
        part
        for title, of_title in found.items()
        if of_title
        for part in (title, *of_title)
    ]


def grouped(read):
    """Returns pairs of settings and rows, one for each table."""
    groups = {}
    for record in read:
        if "measured" in record:
            row = record["measured"]
            key = record["name"], row["settings"]
            groups.setdefault(key, []).append(transfer_perplexity.measured(row))
    return [
        (json.loads(settings), measured)
        for (_, settings), measured in sorted(groups.items())
    ]


def command(recipe, settings, measured):
    """Returns the command of a table."""
    own, usual = settings, runs.defaults(recipe.__name__)
    prefix = ""
    if recipe is ablations:  # whose measurement has options of its own
        prefix = "transfer."
        probe = runs.defaults(transfer_perplexity.__name__)
        own = {n: x for n, x in settings.items() if n != "transfer"}
        own |= prefixed(prefix, settings["transfer"])
        usual = usual | prefixed(prefix, probe)
    uses = list(dict.fromkeys(row["use"] for row in measured))
    seeds = {row["seed"] for row in measured}
    first = [f"--seed {min(seeds)}"] if min(seeds) else []
    return tables.command(
        recipe.__name__,
        *tables.flags({n: x for n, x in own.items() if x is not None}, usual),
        f"--{prefix}uses {' '.join(uses)}",
        *first,
        f"--seeds {len(seeds)}",
        "--out OUT",
    )


def prefixed(prefix, options):
    """Returns options whose names begin with a prefix."""
    return {f"{prefix}{name}": value for name, value in options.items()}


def instrument(measured):
    """Returns a table of `recipes.graphs.transfer_perplexity`."""
    rows = []
    for use, found in by_use(measured):
        sources = [x for x in transfer_perplexity.SOURCES if x in found]
        rows += transfer_perplexity.rows_of(measured, [use], sources)
    return markdown(rows)


def ablation(measured):
    """Returns a table of `recipes.graphs.ablations`."""
    return markdown(
        [
            ablations.row_of(measured, row, use)
            for use, found in by_use(measured)
            for row in ablations.ROWS
            if row in found
        ]
    )


def by_use(measured):
    """Returns pairs of a use and its sources of graphs."""
    return [
        (use, {row["source"] for row in measured if row["use"] == use})
        for use in dict.fromkeys(row["use"] for row in measured)
    ]


def markdown(rows):
    """Returns a table; the ratios are text."""
    return tabulate.tabulate(
        rows, headers="keys", tablefmt="github", floatfmt=".1f"
    )
