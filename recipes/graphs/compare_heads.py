"""Compares the heads of a predictor, to choose among them.

    python -m recipes.graphs.compare_heads --texts wikitext.txt

Prints a row for each head: whether it is dead, double, positional or sharp,
see `glomo_keras.analysis.compare_heads`. The texts are the lines of a file
that have 5 words or more. The heads that are neither dead nor double are
printed as the argument of `predictor.select`, if each layer keeps as many.
"""

import dataclasses
import pathlib

import numpy as np
import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras.utils import files
from recipes.common import check_positive

SHORTEST = 5


@dataclasses.dataclass
class Options:
    """Compares the heads of a predictor on lines of text."""

    texts: pathlib.Path
    """File of texts, one a line."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    count: int = 64
    """Texts that are looked at, spread evenly over the file."""
    max_length: int = 100
    """Words of a text that are looked at."""
    csv: pathlib.Path | None = None
    """Write the table to this file too."""


def main(options):
    """Runs the recipe; returns the rows of the table."""
    check_positive(options, "count", "max_length")
    inputs = load(options)
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    graphs = predictor.predict_on_batch(inputs)
    rows = analysis.compare_heads(graphs, inputs["padding_mask"])
    report(options, rows)
    return rows


def load(options):
    """Returns token ids and padding mask of the texts.

    Raises:
        ValueError: If no line is long enough.
    """
    lines = options.texts.read_text("utf-8").split("\n")
    lines = [line for line in lines if len(line.split()) >= SHORTEST]
    if not lines:
        raise ValueError(
            f"There must be a line of {SHORTEST} words. "
            f"Received: texts={options.texts}"
        )
    places = np.linspace(0, len(lines) - 1, min(options.count, len(lines)))
    tokenizer = data.WordTokenizer.from_preset(options.predictor)
    batch = tokenizer(
        [lines[place] for place in places.astype(int)], options.max_length
    )
    return {
        name: np.asarray(batch[name]) for name in ("token_ids", "padding_mask")
    }


def report(options, rows):
    """Prints the table and the choice, and writes the table if asked."""
    table = [{**row, "twin": twin_of(row)} for row in rows]
    print(tabulate.tabulate(table, "keys", floatfmt=".2f"))
    heads = chosen(rows)
    counts = {len(kept) for layers in heads.values() for kept in layers}
    print(f"Neither dead nor double: {heads}")
    if len(counts) == 1:
        print(f"predictor.select(heads={heads})")
    else:
        print("`select` needs as many heads in each layer: choose among them.")
    if options.csv is not None:
        options.csv.parent.mkdir(parents=True, exist_ok=True)
        files.write_csv(options.csv, table)


def twin_of(row):
    """Returns the name of a head's twin; empty where there is none."""
    return "layer {}, head {}".format(*row["twin"]) if row["twin"] else ""


def chosen(rows):
    """Returns by direction the heads of each layer that are worth keeping."""
    heads = {}
    for row in rows:
        layers = heads.setdefault(row["direction"], [])
        if row["layer"] > len(layers):
            layers.append([])
        if not {"dead", "double"} & set(row["kind"].split(", ")):
            layers[-1].append(row["head"])
    return heads


if __name__ == "__main__":
    main(tyro.cli(Options))
