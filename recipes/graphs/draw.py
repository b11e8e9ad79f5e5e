"""Draws the graphs of a sentence.

    python -m recipes.graphs.draw --text "The cat sat on the mat because it \
was tired." --predictor glomo_small_en --out runs/graphs

Prints the strongest edges of every layer and direction, with the heads they
are from, and how long the graphs took from the start of the program and once
more. Writes forward_graphs.png and backward_graphs.png, all layers and heads.
"""

import time

START = time.perf_counter()

import dataclasses  # noqa: E402
import pathlib  # noqa: E402

import numpy as np  # noqa: E402
import tyro  # noqa: E402

import glomo_keras as gk  # noqa: E402
from glomo_keras import analysis  # noqa: E402
from glomo_keras import data  # noqa: E402

CALLS = 20


@dataclasses.dataclass
class Options:
    """Draws the graphs of a sentence."""

    text: str
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    out: pathlib.Path = pathlib.Path("runs/graphs")
    """Folder of the pictures."""
    edges: int = 5
    """Strongest edges printed for each layer."""


def graphs_of(text, predictor_name):
    """Tokens and graphs of a text, and seconds from the start and once more.

    Args:
        text: string.
        predictor_name: preset.

    Returns:
        `(tokens, graphs, first, again)`: list of T strings, dict of arrays
        `(L, K, T, T)`, and the two times in seconds.

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
    first = time.perf_counter() - START
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        predictor.predict_on_batch(inputs)
        times.append(time.perf_counter() - start)
    words = int(inputs["padding_mask"].sum())
    ids = inputs["token_ids"][0, :words]
    tokens = [predictor.vocabulary[index] for index in ids]
    graphs = {
        name: value[0, :, :, :words, :words] for name, value in graphs.items()
    }
    return tokens, graphs, first, float(np.median(times))


def print_edges(tokens, graphs, count):
    for name, value in graphs.items():
        for layer, heads in enumerate(value):
            strongest = sorted(
                (
                    (weight, receiver, source, head + 1)
                    for head, graph in enumerate(heads)
                    for receiver, source, weight in analysis.top_edges(
                        graph, tokens, count
                    )
                ),
                reverse=True,
            )
            listed = ", ".join(
                f"{receiver} <- {source} ({weight:.2f}, head {head})"
                for weight, receiver, source, head in strongest[:count]
            )
            print(f"{name}, layer {layer + 1}: {listed or 'no edge'}")


def main(options):
    tokens, graphs, first, again = graphs_of(options.text, options.predictor)
    print_edges(tokens, graphs, options.edges)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, value in graphs.items():
        path = options.out / f"{name}.png"
        title = name.replace("_", " ")
        analysis.plot_graph_grid(value, tokens, title=title, path=path)
        print(f"-> {path}")
    print(
        f"Graphs after {first:.2f} s from the start of the program; "
        f"once more in {1000 * again:.1f} ms."
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
