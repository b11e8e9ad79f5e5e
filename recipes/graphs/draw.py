"""Draws the graphs of a sentence.

    python -m recipes.graphs.draw --text "The cat sat on the mat because it \
was tired." --predictor glomo_small_en --out runs/graphs

Prints the edges that exceed the uniform share of their row most, with the
positions of their words, counted from 0. Writes forward_graphs.png and
backward_graphs.png with all layers and heads.
"""

import dataclasses
import pathlib
from typing import Literal

import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from recipes.common import check_positive
from recipes.graphs.view import listed
from recipes.graphs.view import read_text


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
    direction: Literal["forward", "backward"] | None = None
    """Print edges of this direction alone."""


def main(options):
    """Runs the recipe."""
    check_positive(options, "edges")
    tokenizer = data.WordTokenizer.from_preset(options.predictor)
    inputs, words, unknown = read_text(options.text, tokenizer)
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    graphs = {
        name: value[0]  # (L, K, T, T)
        for name, value in predictor.predict_on_batch(inputs).items()
    }
    print_edges(options, words, graphs)
    if unknown:
        print(f"not in the vocabulary: {listed(sorted(unknown))}")
    for name, value in graphs.items():
        path = options.out / f"{name}.png"
        title = name.replace("_", " ")
        analysis.plot_graph_grid(value, words, title=title, path=path)
        print(f"-> {path}")


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
            "layer": edge.layer,
            "head": edge.head,
        }
        for edge in edges
    ]
    print(tabulate.tabulate(rows, "keys", floatfmt=".2f") or "no edge")


if __name__ == "__main__":
    main(tyro.cli(Options))
