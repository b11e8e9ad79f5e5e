"""Pictures of a run: learning curves, mixture weights, graphs of examples."""

import keras
import numpy as np
from matplotlib.figure import Figure

from glomo_keras import analysis
from glomo_keras import layers
from glomo_keras import training
from glomo_keras.ops.graphs import DIRECTIONS

NUM_EXAMPLES = 3
SHORTEST, LONGEST = 6, 24
"""Lengths of the texts to draw, in words."""


def draw(model, loaded, folder, title):
    """Writes all pictures of a run into its folder.

    Args:
        model: a task model of `glomo_keras.models`.
        loaded: `TaskData`.
        folder: `RunFolder`.
        title: string.
    """
    draw_learning_curves(
        training.read_history(folder.history_path),
        title,
        folder.figures_dir / "learning_curves.png",
    )
    if isinstance(model.transfer, layers.GraphTransfer):
        for text in model.texts:
            draw_text(text, model, loaded, folder.figures_dir, title)


def draw_text(text, model, loaded, folder, title):
    """Draws graphs and mixture weights for one of a model's texts."""
    prefix = f"{text}_" if text else ""
    graph_inputs = model.graph_inputs(text)
    rows = loaded.validation.texts[text]
    weights = []
    for rank, index in enumerate(choose(rows), 1):
        words = [loaded.lexicon.words[number] for number in rows[index]]
        inputs, _ = loaded.validation.take([index])
        given = graph_inputs.predict_on_batch(inputs)
        graph, weight = mix(model.transfer, **given)
        weights.append(weight)
        graph = graph[..., : len(words), : len(words)]  # (2, n, T, T)
        analysis.plot_graph_grid(
            graph.reshape(-1, 1, *graph.shape[2:]),
            words,
            terms=[
                f"{direction}, mixture {number}"
                for direction in DIRECTIONS
                for number in range(1, graph.shape[1] + 1)
            ],
            title=f"Mixed graphs, {title}",
            path=folder / f"{prefix}mixed_graphs_{rank}.png",
        )
    if weights and weights[0].shape[-1] > 1:
        draw_mixture_weights(
            np.mean(weights, axis=0),
            term_names(model),
            f"Mixture weights, {title}",
            folder / f"{prefix}mixture_weights.png",
        )


def choose(rows):
    """Returns the indices of the texts to draw: the first of fitting length.

    If no text has such a length, the shortest ones are drawn.

    Args:
        rows: list of arrays, the words of each text.
    """
    lengths = np.array([len(row) for row in rows])
    fitting = np.flatnonzero((lengths >= SHORTEST) & (lengths <= LONGEST))
    if not len(fitting):
        fitting = np.argsort(lengths, kind="stable")
        fitting = fitting[lengths[fitting] > 0]
    return fitting[:NUM_EXAMPLES].tolist()


def mix(transfer, features, graphs):
    """Returns the mixed graphs and mixture weights of one text.

    Args:
        transfer: `GraphTransfer`.
        features: array `(1, T, d)`.
        graphs: dict of the graphs of both directions.

    Returns:
        `(graphs, weights)`, arrays `(2, n, T, T)` and `(2, n, N)`: forward
        and backward, the weights averaged over the words if they differ.
    """
    mixed, weights = [], []
    for direction in DIRECTIONS:
        mixture = transfer.mixtures[direction]
        graph = mixture(graphs[f"{direction}_graphs"], features)
        graph = keras.ops.convert_to_numpy(graph)[0]
        mixed.append(graph.reshape(-1, *graph.shape[-2:]))
        weight = keras.ops.convert_to_numpy(mixture.mixture_weights(features))
        weights.append(weight.reshape(-1, *weight.shape[-2:]).mean(axis=0))
    return np.stack(mixed), np.stack(weights)


def term_names(model):
    """Returns the names of the terms of a mixture, one for all heads."""
    source, names = model.graphs, []
    count = getattr(source, "num_layers", 1)
    numbers = getattr(source, "graph_layers", range(1, count + 1))
    for index, number in enumerate(numbers):
        names.append(f"G{number}")
        if model.transfer.include_products and index > 0:
            names.append("·".join(f"G{x}" for x in numbers[index::-1]))
    return names


def draw_mixture_weights(weights, terms, title, path):
    """Draws heat maps of mixture weights in percent: terms by heads.

    Args:
        weights: array `(2, n, N)`: direction, mixture, term.
        terms: list of names, one for all heads of a term.
        title: string.
        path: the file to write.
    """
    weights = 100 * weights.reshape(*weights.shape[:2], len(terms), -1)
    mixtures, heads = weights.shape[1], weights.shape[-1]
    size = (1.2 + 0.38 * heads * mixtures, 1.4 + 0.56 * len(terms))
    figure = Figure(size, layout="constrained")
    axes = figure.subplots(*weights.shape[:2], squeeze=False)
    for (direction, mixture), axis in np.ndenumerate(axes):
        values = weights[direction, mixture]
        axis.imshow(values, "Blues", vmin=0, vmax=weights.max(), aspect="auto")
        for (term, head), value in np.ndenumerate(values):
            colour = "white" if value > weights.max() / 2 else "black"
            axis.text(
                head,
                term,
                f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=7,
                color=colour,
            )
        axis.set_title(f"{DIRECTIONS[direction]}, mixture {mixture + 1} (%)")
        axis.set_xticks(range(heads), range(1, heads + 1))
        axis.set_yticks(range(len(terms)), terms)
        axis.set_xlabel("head")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def draw_learning_curves(rows, title, path):
    """Draws every logged quantity by epoch, training and validation together.

    Args:
        rows: list of dicts, those of `training.read_history`.
        title: string.
        path: the file to write.
    """
    logged = {name for row in rows for name in row}
    logged -= {"epoch", "learning_rate"}
    names = sorted({name.removeprefix("val_") for name in logged})
    figure = Figure((4 * len(names), 3.2), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    epochs = [row["epoch"] + 1 for row in rows]
    for name, axis in zip(names, axes, strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            if prefix + name in logged:
                values = [row.get(prefix + name, np.nan) for row in rows]
                axis.plot(epochs, values, marker="o", label=label)
        axis.set_xlabel("epoch")
        axis.set_title(name)
        axis.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
