"""Sections of the tables of perplexities under frozen graphs."""

import collections
import itertools
import json

from recipes.evidence import runs
from recipes.evidence import tables
from recipes.graphs import ablations
from recipes.graphs import transfer_perplexity
from recipes.graphs.fresh_features import USES

INSTRUMENT = """\
## Graphs under fresh features

Perplexity of held-out text for features that have never seen the predictor,
under frozen graphs of several sources, of the words after each word
(`--directions forward`, the default). Columns have its ratio to that under
other graphs, paired by seed, with the 95 % interval; below 1 is better.
`--uses heads` keeps the heads apart, `mixture` mixes them all, as tasks do by
default; with `--vectors` the graphs act on frozen word vectors in place of
fresh embeddings."""
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
    for settings, measured, left_out in grouped(read):
        if "predictor" in settings:
            recipe, title, table = transfer_perplexity, INSTRUMENT, instrument
        else:
            recipe, title, table = ablations, ABLATIONS, ablation
        found[title] += [command(recipe, settings, measured), table(measured)]
        missing = unfinished(measured)
        if missing:
            found[title].append(f"Not measured yet: {'; '.join(missing)}.")
        if left_out:
            found[title].append(
                f"Left out: {left_out} measurements of the same command with "
                "other results, weights or text."
            )
    return [
        part
        for title, of_title in found.items()
        if of_title
        for part in (title, *of_title)
    ]


def grouped(read):
    """Groups measurements; of several of the same, the first one counts.

    Returns:
        List of `(settings, rows, left_out)`, one for each table: dict, list of
        dict, and how many rows were left out.
    """
    groups, facts, left_out = {}, {}, collections.Counter()
    for record in read:
        if "measured" in record:
            row = transfer_perplexity.measured(record["measured"])
            settings = json.loads(row["settings"])
            data = settings.pop("data", None)
            key = record["name"], json.dumps(settings, sort_keys=True)
            if facts.setdefault(key, data) != data:
                left_out[key] += 1
                continue
            rows = groups.setdefault(key, {})
            first = rows.setdefault(transfer_perplexity.key(row), row)
            if first["perplexity"] != row["perplexity"]:
                left_out[key] += 1
    return [
        (json.loads(key[1]), [*groups[key].values()], left_out[key])
        for key in sorted(groups)
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
    uses = [use for use, _ in by_use(measured)]
    found = {row["source"] for row in measured}
    name, every = "sources", transfer_perplexity.SOURCES
    if recipe is ablations:
        name, every = "rows", ablations.ROWS
    sources = [x for x in every if x in found]
    is_part = len(sources) < len(every)
    seeds = {row["seed"] for row in measured}
    first = [f"--seed {min(seeds)}"] if min(seeds) else []
    return tables.command(
        recipe.__name__,
        *tables.flags({n: x for n, x in own.items() if x is not None}, usual),
        f"--{prefix}uses {' '.join(uses)}",
        *first,
        f"--seeds {len(seeds)}",
        *([f"--{name} {' '.join(sources)}"] if is_part else []),
        "--out OUT",
    )


def unfinished(measured):
    """Returns which measurements a table lacks, as text."""
    columns = [
        list(dict.fromkeys(row[name] for row in measured))
        for name in ("use", "seed", "source")
    ]
    done = [transfer_perplexity.key(row) for row in measured]
    return [
        f"{use}, {source}, seed {seed}"
        for use, seed, source in itertools.product(*columns)
        if (use, seed, source) not in done
    ]


def prefixed(prefix, options):
    """Returns options whose names begin with a prefix."""
    return {f"{prefix}{name}": value for name, value in options.items()}


def instrument(measured):
    """Returns a table of `recipes.graphs.transfer_perplexity`."""
    rows = []
    for use, found in by_use(measured):
        sources = [x for x in transfer_perplexity.SOURCES if x in found]
        rows += transfer_perplexity.rows_of(measured, [use], sources)
    return transfer_perplexity.markdown(rows)


def ablation(measured):
    """Returns a table of `recipes.graphs.ablations`."""
    return transfer_perplexity.markdown(
        [
            ablations.row_of(measured, row, use)
            for use, found in by_use(measured)
            for row in ablations.ROWS
            if row in found
        ]
    )


def by_use(measured):
    """Returns pairs of a use and its sources of graphs."""
    sources = {}
    for row in measured:
        sources.setdefault(row["use"], set()).add(row["source"])
    return [(use, sources[use]) for use in USES if use in sources]
