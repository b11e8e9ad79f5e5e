"""Measures how much frozen graphs help freshly initialised features.

    python -m recipes.graphs.transfer_perplexity --predictor glomo_small_en \
--corpus 'wiki/AA/wiki_0?' --held-out 'imdb/aclImdb/test/*/*.txt'

Fresh embeddings, a fresh transfer and fresh decoders learn to predict the
words around each word (`glomo_keras.models.TransferProbe`), under graphs of
several sources: the predictor's (learned), an untrained copy, distance decay
with rates that are fitted, one for each layer and head, uniform graphs, none.
It needs no labels and varies little, since all sources see the same batches
and start from the same fresh weights.

`--uses` says how graphs act: `heads` (`MultiHeadTransfer`, the default),
`mixture` (`GraphTransfer`, the paper's, which the tasks use), `pretraining`
(layer by layer, a slice of the features for each head). `--vectors` takes a
file of word vectors, frozen, in place of the fresh embeddings.

Writes OUT/runs.csv, a row for each run as it ends; the same command goes on
where it stopped. Prints, and writes to OUT/table.md, the perplexity of each
source and its ratios to those of the others, paired by seed, with the 95 %
interval of Student's t.
"""

import csv
import dataclasses
import itertools
import json
import os
import pathlib
from typing import Literal

import numpy as np
import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras.models import presets
from glomo_keras.utils import files
from recipes.common import check_each_once
from recipes.common import check_positive
from recipes.common import fingerprint
from recipes.graphs import fresh_features
from recipes.graphs.fresh_features import SOURCES
from recipes.graphs.fresh_features import ProbeOptions
from recipes.pretrain.evaluate import held_out_windows
from recipes.tasks import compare


@dataclasses.dataclass(kw_only=True)
class Options(ProbeOptions):
    """Measures graphs under fresh features."""

    corpus: tuple[str, ...]
    """Text to train on: files, folders, globs, or tfds:NAME."""
    held_out: tuple[str, ...]
    """Other text, on which the perplexity is measured."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    out: pathlib.Path = pathlib.Path("runs/transfer_perplexity")
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised text is kept."""
    sources: tuple[Literal[*SOURCES], ...] = SOURCES
    seeds: int = 3
    """Seeds per source and use."""


def main(options):
    """Runs the recipe; returns the rows of the table."""
    check_positive(options, "seeds")
    check_each_once(options, "sources")
    fresh_features.check(options)
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    fresh_features.check_heads(options, predictor.num_heads)
    train, held_out = load(options, predictor)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = settings_of(options, train, held_out)
    runs = measure(options, predictor, settings, train, held_out)
    return report(options, runs)


def load(options, predictor):
    """Returns a stream to train on and held-out windows."""
    if None in (predictor.vocabulary, predictor.tokenizer_config):
        raise ValueError(
            "The predictor must be one of texts, with its vocabulary and the "
            "options of its tokenizer. "
            f"Received: predictor={options.predictor}"
        )

    def stream(spec):
        corpus = data.prepare_corpus(
            list(spec),
            options.cache.expanduser(),
            vocabulary=predictor.vocabulary,
            validation_fraction=0.0,
            **{"normalize_unicode": False, **predictor.tokenizer_config},
        )
        return corpus.train

    windows = held_out_windows(
        stream(options.held_out), options.max_length, options.held_out_windows
    )
    return stream(options.corpus), windows


def measure(options, predictor, settings, train, held_out):
    """Makes the missing runs; returns a row per source, use and seed."""
    path = options.out / "runs.csv"
    runs = read_runs(path, settings)
    done = [key(run) for run in runs]
    for use, source in itertools.product(options.uses, options.sources):
        seeds = [
            x for x in range(options.seeds) if (use, x, source) not in done
        ]
        if not seeds:
            continue
        # The table lacks them, or is of other weights.
        (options.out / "table.md").unlink(missing_ok=True)
        for run in fresh_features.measure(
            options, predictor, source, use, seeds, train, held_out
        ):
            write_run(path, {**run, "settings": settings})
            print(
                f"{use}, {source}, seed {run['seed']}: {run['perplexity']:.1f}"
            )
            runs.append(run)
    return runs


def settings_of(options, train, held_out):
    """Returns, as JSON, what comparable runs share: options, weights, text."""
    values = dataclasses.asdict(options)
    for name in ("out", "cache", "sources", "uses", "seeds"):
        del values[name]
    arrays = {"train": train.token_ids, "held_out": held_out["token_ids"]}
    if options.vectors is not None:
        arrays["vectors"] = np.fromfile(options.vectors, "uint8")
    values["data"] = {
        "predictor": presets.weights_digest(options.predictor),
        **fingerprint(arrays),
    }
    return json.dumps(values, default=str, sort_keys=True)


def read_runs(path, settings):
    """Returns the rows of runs.csv with the same settings."""
    rows = read_rows(path)
    return [measured(row) for row in rows if row["settings"] == settings]


def read_rows(path):
    """Returns all rows of runs.csv, dicts of text."""
    return list(csv.DictReader(whole_lines(path).decode().splitlines()))


def whole_lines(path):
    """Returns the bytes of runs.csv without a last line that was cut off."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def measured(row):
    """Returns a row of runs.csv with its numbers as numbers."""
    numbers = {
        "seed": int(row["seed"]),
        "perplexity": float(row["perplexity"]),
    }
    return {**row, **numbers}


def write_run(path, row):
    """Adds a row to runs.csv."""
    whole = whole_lines(path)
    with path.open("a", newline="", encoding="utf-8") as file:
        file.truncate(len(whole))
        writer = csv.DictWriter(file, row)
        if not whole:
            writer.writeheader()
        writer.writerow(row)
        file.flush()
        os.fsync(file.fileno())


def key(run):
    """Returns what identifies a run."""
    return run["use"], run["seed"], run["source"]


def report(options, runs):
    """Prints and writes the table; returns its rows."""
    rows = rows_of(runs, options.uses, options.sources)
    table = markdown(rows)
    print(table)
    with files.atomic_file(options.out / "table.md") as file:
        file.write(table + "\n")
    return rows


def markdown(rows):
    """Returns rows as a table, perplexities with one decimal."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return tabulate.tabulate(
        rows,
        headers="keys",
        tablefmt="github",
        floatfmt=".1f",
        disable_numparse=[  # the ratios are text
            index for index, name in enumerate(names) if name.startswith("/")
        ],
    )


def rows_of(runs, uses, sources):
    """Returns the rows of the table, for each use the sources."""
    controls = [name for name in sources if name != "learned"]
    return [
        row_of(runs, use, source, controls)
        for use in uses
        for source in sources
    ]


def row_of(runs, use, source, controls):
    """Returns a row of the table: means, and ratios with their intervals."""
    own = perplexities(runs, use, source)
    row = {
        "use": use,
        "graphs": source,
        "seeds": len(own),
        "perplexity": np.mean([*own.values()]),
    }
    for control in controls:
        row[f"/ {control}"] = ""
        if source != control:
            others = perplexities(runs, use, control)
            row[f"/ {control}"] = ratio(own, others)
    return row


def perplexities(runs, use, source):
    """Returns the perplexity of each seed."""
    return {
        run["seed"]: run["perplexity"]
        for run in runs
        if run["use"] == use and run["source"] == source
    }


def ratio(own, others):
    """Returns the mean ratio, paired by seed, and its 95 % interval as text."""
    logs = [
        {seed: np.log(x) for seed, x in of_seed.items()}
        for of_seed in (own, others)
    ]
    result = compare.paired(*logs)
    text = f"{np.exp(result['difference']):.3f}"
    if result["pairs"] > 1:
        low, high = np.exp([result["low"], result["high"]])
        text += f" ({low:.3f} to {high:.3f})"
    return text


if __name__ == "__main__":
    main(tyro.cli(Options))
