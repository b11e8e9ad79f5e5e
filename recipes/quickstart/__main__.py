"""Learns graphs from text and shows what they are worth, in minutes.

    python -m recipes.quickstart

1. Text: the documentation of Python and of the installed dependencies, or
   your own with `--text PATH`. Every fifth block of 100 paragraphs is held
   out.
2. Pretrains a small graph predictor on the rest (`recipes.pretrain.text`).
3. Transfer: fresh features, which have never seen that predictor, learn to
   predict the words around each word of the same text: with the frozen graphs
   of the predictor ("learned"), with those of an untrained copy, with uniform
   graphs and with none, three seeds each. The perplexity of the held-out text
   says which graphs help (`recipes.graphs.transfer_perplexity`).
4. Draws the graphs of held-out words, exports the predictor as a SavedModel
   and compares the graphs of both.

No network is needed. The same command goes on where it stopped.
"""

import dataclasses
import pathlib
import zlib

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras import serving
from glomo_keras import training
from recipes.common import check_positive
from recipes.graphs import transfer_perplexity
from recipes.pretrain import text as pretrain_text
from recipes.quickstart import standard_library_text
from recipes.serving.export import largest_error
from recipes.serving.export import run_saved_model

MIN_WORDS = 10_000
SOURCES = ("learned", "untrained", "uniform", "none")
RESULTS = ("pretraining", "transfer", "saved_model")


@dataclasses.dataclass
class Options:
    """Pretrains graphs on text, measures, draws and exports them."""

    out: pathlib.Path = pathlib.Path("runs/quickstart")
    """The folder of everything that is written."""
    text: str | None = None
    """Your own text: a file, a folder or a glob."""
    max_words: int = 2_000_000
    """Of a longer text only the first words are used."""

    # Pretraining.

    vocabulary_size: int = 6000
    embedding_dim: int = 64
    num_heads: int = 4
    key_dim: int = 32
    num_graph_layers: int = 2
    rotary_dim: int = 16
    num_positions: int = 10
    max_length: int = 48
    batch_size: int = 16
    learning_rate: float = 3e-3
    steps_per_epoch: int = 150
    epochs: int = 6

    # Transfer.

    transfer_steps: int = 200
    seeds: int = 3
    """Fresh features for each kind of graph."""


def main(options):
    """Runs the recipe."""
    check_positive(options, "max_words", "epochs", "transfer_steps", "seeds")
    paragraphs = read_paragraphs(options)
    settings = {
        **dataclasses.asdict(options),
        "text_checksum": zlib.crc32("\n".join(paragraphs).encode()),
    }
    folder = training.RunFolder(options.out, RESULTS)
    with folder.start(settings, ["out"]):
        texts = write_parts(paragraphs, folder.path / "text")
        preset = pretrain(options, texts["pretraining"], folder)
        rows = transfer(options, texts, preset, folder)
        predictor = gk.GraphPredictor.from_preset(preset)
        inputs, tokens = read_held_out(texts["held_out"], preset)
        draw(predictor, inputs, tokens, folder)
        error = export(predictor, inputs, folder)
        folder.write_metrics({"transfer": rows, "export_error": error})
        print_places(folder, preset)


def read_paragraphs(options):
    """Returns the paragraphs of the text, in order."""
    if options.text is None:
        folder = options.out / "text" / "sources"
        corpus = data.open_corpus(standard_library_text.write_texts(folder))
    else:
        corpus = data.open_corpus(options.text)
    paragraphs, words = [], 0
    for _, text in corpus.texts():
        paragraphs += filter(None, text.split("\n"))
        words += text.count(" ") + 1
        if words >= options.max_words:
            break
    if words < MIN_WORDS:
        raise ValueError(
            f"The text must have {MIN_WORDS} words at least. "
            f"Received: text={options.text!r} with {words} words"
        )
    print(f"{len(paragraphs):,} paragraphs, {words:,} words")
    return paragraphs


def write_parts(paragraphs, folder, size=100, every=5):
    """Writes two texts that share no paragraph; returns their paths.

    Every fifth block of 100 paragraphs is held out, less the paragraphs that
    occur in the others too.
    """
    parts = {"pretraining": [], "held_out": []}
    for start in range(0, len(paragraphs), size):
        is_held_out = start // size % every == every - 1
        part = parts["held_out" if is_held_out else "pretraining"]
        part += paragraphs[start : start + size]
    seen = set(parts["pretraining"])
    parts["held_out"] = [x for x in parts["held_out"] if x not in seen]
    if not parts["held_out"]:
        raise ValueError(
            f"The text must have more than {(every - 1) * size} different "
            f"paragraphs, as each {every}th block of {size} is held out. "
            f"Received: {len(paragraphs)} paragraphs"
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.txt" for name in parts}
    for name, part in parts.items():
        standard_library_text.write_if_changed(
            paths[name], "".join(f"{paragraph}\n" for paragraph in part)
        )
    return paths


def pretrain(options, text, folder):
    """Pretrains the graph predictor; returns its preset folder."""
    fields = {x.name for x in dataclasses.fields(pretrain_text.Options)}
    shared = {n: x for n, x in vars(options).items() if n in fields}
    changed = {
        "corpus": (str(text),),
        "out": folder.path / "pretraining",
        "cache": folder.path / "cache",
        "messages": "values",
        "validation_steps": 4,
        "jit_compile": "false",  # it would compile for each window length
    }
    return pretrain_text.pretrain(pretrain_text.Options(**shared | changed))


def transfer(options, texts, preset, folder):
    """Measures the graphs under fresh features; returns the table's rows."""
    return transfer_perplexity.main(
        transfer_perplexity.Options(
            corpus=(str(texts["pretraining"]),),
            held_out=(str(texts["held_out"]),),
            predictor=str(preset),
            out=folder.path / "transfer",
            cache=folder.path / "cache",
            sources=SOURCES,
            seeds=options.seeds,
            embedding_dim=options.embedding_dim,
            steps=options.transfer_steps,
            batch_size=options.batch_size,
            max_length=options.max_length,
            num_positions=options.num_positions,
        )
    )


def read_held_out(path, preset, num_texts=8, max_length=20):
    """Returns the inputs and tokens of the first held-out paragraphs."""
    with open(path, encoding="utf-8") as file:
        texts = [line for line, _ in zip(file, range(num_texts), strict=False)]
    tokenizer = data.WordTokenizer.from_preset(preset)
    batch = tokenizer(texts, max_length=max_length)
    inputs = {
        name: np.asarray(batch[name]) for name in ("token_ids", "padding_mask")
    }
    ids = inputs["token_ids"][0, inputs["padding_mask"][0]]
    return inputs, [tokenizer.vocabulary[index] for index in ids]


def draw(predictor, inputs, tokens, folder):
    """Draws all graphs of the first text, and one of them large.

    `graph` is the head that is sharpest on it: the lowest mean entropy of
    the rows, among the heads in which at most half of the rows are empty
    (among all, if there is none).
    """
    count = len(tokens)
    graphs = {
        name: keras.ops.convert_to_numpy(graph)[:, :, :, :count, :count]
        for name, graph in predictor(
            {name: x[:1] for name, x in inputs.items()}
        ).items()
    }
    for name, graph in graphs.items():
        analysis.plot_graph_grid(
            graph[0],
            tokens,
            title=f"All {name.replace('_', ' ')} of held-out words",
            path=folder.figures_dir / f"{name}.png",
        )
    forward = graphs["forward_graphs"]
    layer, head = sharpest(forward)
    analysis.plot_graph(
        forward[0, layer, head],
        tokens,
        title=f"Learned graph, looking back: layer {layer + 1}, "
        f"head {head + 1}",
        path=[folder.figures_dir / f"graph.{x}" for x in ("png", "svg")],
    )


def sharpest(graphs):
    """Returns the layer and head that `draw` shows of forward graphs."""
    numbers = analysis.graph_statistics(graphs, direction="forward")
    entropy, empty = numbers["mean_entropy"], numbers["empty_rows"]
    empty = np.where((empty <= 0.5).any(), empty > 0.5, False)
    entropy = np.where(empty, np.inf, entropy)
    return np.unravel_index(np.argmin(entropy), entropy.shape)


def export(predictor, inputs, folder):
    """Exports the predictor; returns the largest error of its graphs."""
    target = folder.path / "saved_model" / "1"
    if not target.exists():
        serving.export_saved_model(predictor, target.parent, version=1)
    error = largest_error(predictor, inputs, run_saved_model(target, inputs))
    print(f"SavedModel: graphs differ by {error:.1e} at most")
    return error


def print_places(folder, preset):
    """Prints where everything is."""
    places = {
        "learned predictor": preset,
        "SavedModel": folder.path / "saved_model" / "1",
        "pictures": folder.figures_dir,
        "the table": folder.path / "transfer" / "table.md",
        "its runs": folder.path / "transfer" / "runs.csv",
    }
    for name, path in places.items():
        print(f"{name:20} {path}")


if __name__ == "__main__":
    main(tyro.cli(Options))
