"""What a run draws: learning curves, mixture weights, graphs of examples."""

import keras
import numpy as np
from matplotlib.figure import Figure

from glomo_keras import analysis
from glomo_keras import training
from glomo_keras.ops.graphs import DIRECTIONS

NUM_EXAMPLES = 3
UNITS = (6, 24)  # of the texts whose graphs are drawn, where there are such


def draw(model, loaded, folder, title):
    """Writes all pictures of a run into its folder.

    Args:
        model: one with `graphs`, a `TaskGraphs`.
        loaded: `TaskData`.
        folder: `RunFolder`.
        title: string.
    """
    draw_learning_curves(
        training.read_history(folder.history_path),
        title,
        folder.figures_dir / "learning_curves.png",
    )
    for text in model.graphs.transferred:
        _draw_text(text, model, loaded, folder.figures_dir, title)


def _draw_text(text, model, loaded, folder, title):
    """Graphs and mixture weights of one of a model's texts."""
    features, graphs, mask = text
    source = keras.Model(model.input, [features, graphs])
    prefix = mask.name.removesuffix("padding_mask")
    rows = loaded.validation.texts[prefix.removesuffix("_")]
    weights = []
    for rank, index in enumerate(choose(rows), 1):
        words = [loaded.lexicon.words[number] for number in rows[index]]
        inputs, _ = loaded.validation.take([index])
        values, given = source.predict_on_batch(inputs)
        graph, weight = mix(model.graphs.transfer, values, given)
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
            term_names(model.graphs),
            f"Mixture weights, {title}",
            folder / f"{prefix}mixture_weights.png",
        )


def choose(rows):
    """Some texts short enough to be drawn with their words.

    Args:
        rows: list of arrays, the words of each text.

    Returns:
        List of indices, the shortest texts if none has 6 to 24 units.
    """
    lengths = np.array([len(row) for row in rows])
    fitting = np.flatnonzero((lengths >= UNITS[0]) & (lengths <= UNITS[1]))
    if not len(fitting):
        fitting = np.argsort(lengths, kind="stable")
        fitting = fitting[lengths[fitting] > 0]
    return fitting[:NUM_EXAMPLES].tolist()


def mix(transfer, features, graphs):
    """Mixed graphs and mixture weights of one text.

    Args:
        transfer: `GraphTransfer`.
        features: array `(1, T, d)`.
        graphs: dict, what it was given with them.

    Returns:
        `(graphs, weights)`, arrays `(2, n, T, T)` and `(2, n, N)`: forward
        and backward, the weights averaged over the units where they differ.
    """
    mixed, weights = [], []
    for direction in DIRECTIONS:
        mixture = transfer.mixtures[direction]
        _, graph = mixture(
            graphs[f"{direction}_graphs"], features, return_graph=True
        )
        graph = keras.ops.convert_to_numpy(graph)[0]
        mixed.append(graph.reshape(-1, *graph.shape[-2:]))
        weight = keras.ops.convert_to_numpy(mixture.mixture_weights(features))
        weights.append(weight.reshape(-1, *weight.shape[-2:]).mean(axis=0))
    return np.stack(mixed), np.stack(weights)


def term_names(graphs):
    """Names of the terms of a mixture, one for all heads of a layer."""
    if graphs.predictor is None:
        return ["G1"]
    layers = graphs.graph_layers or range(
        1, graphs.predictor.num_graph_layers + 1
    )
    names = []
    for index, layer in enumerate(layers):
        names.append(f"G{layer}")
        if graphs.include_products and index > 0:
            names.append("·".join(f"G{x}" for x in layers[index::-1]))
    return names


def draw_mixture_weights(weights, terms, title, path):
    """Heat maps of mixture weights in percent: terms by heads.

    Args:
        weights: array `(2, n, N)`: direction, mixture, term.
        terms: list of names, one for all heads of a term.
        title: string.
        path: of the picture.
    """
    weights = weights.reshape(*weights.shape[:2], len(terms), -1)
    heads = weights.shape[-1]
    figure = Figure(
        (
            1.2 + 0.38 * heads * weights.shape[1],
            1.4 + 0.56 * len(terms),
        ),
        layout="constrained",
    )
    axes = figure.subplots(*weights.shape[:2], squeeze=False)
    for direction, row in enumerate(axes):
        for mixture, axis in enumerate(row):
            image = axis.imshow(
                weights[direction, mixture],
                cmap="Blues",
                vmin=0,
                vmax=weights.max(),
                aspect="auto",
            )
            _write_percents(axis, weights[direction, mixture], weights.max())
            axis.set_title(f"{DIRECTIONS[direction]}, mixture {mixture + 1}")
            axis.set_xticks(range(heads), range(1, heads + 1))
            axis.set_yticks(range(len(terms)), terms)
            axis.set_xlabel("head")
    figure.colorbar(image, ax=axes.ravel().tolist(), label="weight")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _write_percents(axis, weights, highest):
    """The weights as numbers: they often differ little."""
    for (term, head), weight in np.ndenumerate(weights):
        axis.text(
            head,
            term,
            f"{100 * weight:.1f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if weight > highest / 2 else "black",
        )


def draw_learning_curves(rows, title, path):
    """Every logged quantity by epoch, training and validation together.

    Args:
        rows: list of dicts, those of `training.read_history`.
        title: string.
        path: of the picture.
    """
    names = list(
        dict.fromkeys(
            name.removeprefix("val_")
            for row in rows
            for name in row
            if name not in ("epoch", "learning_rate")
        )
    )
    figure = Figure((4 * len(names), 3.2), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    epochs = [row["epoch"] + 1 for row in rows]
    for name, axis in zip(names, axes, strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            values = [row.get(prefix + name) for row in rows]
            if all(value is not None for value in values):
                axis.plot(epochs, values, marker="o", label=label)
        axis.set_xlabel("epoch")
        axis.set_title(name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
