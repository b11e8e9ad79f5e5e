"""Draws the graphs of a sentence.

    python -m recipes.graphs.draw --text "The cat sat on the mat because it \
was tired." --predictor glomo_small_en --out runs/graphs

Prints the edges that exceed the uniform share of their row most, with the
positions of their words, counted from 0. Writes forward_graphs.png and
backward_graphs.png with all layers and heads.
"""

import dataclasses
import pathlib

import numpy as np
import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data


@dataclasses.dataclass
class Options:
    """Draws the graphs of a sentence."""

    text: str
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    out: pathlib.Path = pathlib.Path("runs/graphs")
    """Folder of the pictures."""
    edges: int = 20
    """Strongest edges printed."""
    layer: int | None = None
    """Print edges of this layer alone, from 1."""
    head: int | None = None
    """Print edges of this head alone, from 1."""
    direction: str | None = None
    """Print edges of this direction alone: forward or backward."""


def main(options):
    """Runs the recipe."""
    tokens, graphs = graphs_of(options.text, options.predictor)
    print_edges(options, tokens, graphs)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, value in graphs.items():
        path = options.out / f"{name}.png"
        title = name.replace("_", " ")
        analysis.plot_graph_grid(value, tokens, title=title, path=path)
        print(f"-> {path}")


def graphs_of(text, predictor_name):
    """Returns the tokens and graphs of a text.

    Args:
        text: string.
        predictor_name: preset.

    Returns:
        `(tokens, graphs)`: list of T strings, dict of arrays `(L, K, T, T)`.

    Raises:
        ValueError: no such preset, or a text without a word.
    """
    predictor = gk.GraphPredictor.from_preset(predictor_name)
    tokenizer = data.WordTokenizer.from_preset(predictor_name)
    batch = tokenizer([text])
    inputs = {
        name: np.asarray(batch[name]) for name in ("token_ids", "padding_mask")
    }
    if not inputs["padding_mask"].any():
        raise ValueError(f"There is no word in the text. Received: {text!r}")
    graphs = predictor.predict_on_batch(inputs)
    words = int(inputs["padding_mask"].sum())
    ids = inputs["token_ids"][0, :words]
    tokens = [predictor.vocabulary[index] for index in ids]
    return tokens, {
        name: value[0, :, :, :words, :words] for name, value in graphs.items()
    }


def print_edges(options, tokens, graphs):
    """Prints the strongest edges as a table."""
    edges = analysis.top_edges(
        graphs,
        tokens,
        options.edges,
        layer=options.layer,
        head=options.head,
        direction=options.direction,
    )
    rows = [
        {
            "receiver": f"{edge.receiver} {edge.receiver_position}",
            "source": f"{edge.source} {edge.source_position}",
            "weight": edge.weight,
            "above uniform": edge.excess,
            "direction": edge.direction,
            "head": f"{edge.layer}.{edge.head}",
        }
        for edge in edges
    ]
    print(tabulate.tabulate(rows, "keys", floatfmt=".2f") or "no edge")


if __name__ == "__main__":
    main(tyro.cli(Options))
