"""Learns graphs from text and transfers them: the whole of GLoMo in minutes.

    python -m recipes.quickstart

1. Text: the documentation of Python and of the installed dependencies, or
   your own with `--text PATH`. Of the sentences, in blocks of 100 neighbours,
   every fifth block is kept from pretraining and serves the task.
2. Pretrains a small graph predictor on the rest (`recipes.pretrain.text`).
3. The task: were two neighbouring words of this sentence swapped? Each
   sentence stands in the data as it is and with a swap, so 50 % is chance.
4. Trains one classifier on bare embeddings ("none"), one with uniform graphs
   and one with the learned graphs, with three seeds each. All start from the
   predictor's embeddings, so that they differ by nothing but the graph.
5. Draws the graphs of a held-out sentence, exports the predictor as a
   SavedModel and compares the graphs of both.

No network is needed. The same command goes on where it stopped. README.md has
what it printed.
"""

import csv
import dataclasses
import itertools
import json
import pathlib
import statistics
import zlib

import keras
import numpy as np
import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras import serving
from glomo_keras import training
from recipes.pretrain import text as pretrain_text
from recipes.quickstart import standard_library_text
from recipes.quickstart import swapped_words
from recipes.serving.export import largest_error
from recipes.serving.export import run_saved_model

MIN_SENTENCES = 1000
RESULTS = ("pretraining", "task", "results.csv", "saved_model")


@dataclasses.dataclass
class Options:
    """Pretrains graphs on text, transfers, draws and exports them."""

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
    num_positions: int = 10
    max_length: int = 48
    batch_size: int = 16
    learning_rate: float = 3e-3
    steps_per_epoch: int = 150
    epochs: int = 8

    # The task.
    sentences: int = 4000
    """Sentences for the task: 60 % train, 10 % validate, 30 % test."""
    task_epochs: int = 5
    task_batch_size: int = 64
    task_learning_rate: float = 2e-3
    task_dropout: float = 0.5
    units: int = 64
    """Filters of the classifier's convolution."""
    seeds: int = 3
    """Runs of each kind of graph."""


def main(options):
    """Runs the recipe."""
    sentences = read_sentences(options)
    for_pretraining, for_task = split_blocks(sentences)
    settings = {
        **dataclasses.asdict(options),
        "text_checksum": zlib.crc32("\n".join(sentences).encode()),
    }
    folder = training.RunFolder(options.out, RESULTS)
    with folder.start(settings, ["out"]):
        preset = pretrain(options, for_pretraining, folder)
        predictor = gk.GraphPredictor.from_preset(preset)
        tokenizer = data.WordTokenizer.from_preset(preset)
        task = swapped_words.make_task(for_task, tokenizer, options.sentences)
        runs = train_classifiers(options, predictor, task, folder)
        rows = report(runs, folder)
        draw(predictor, task, folder)
        error = export(predictor, task, folder)
        folder.write_metrics({"accuracy": rows, "export_error": error})
        print_places(folder, preset)


def read_sentences(options):
    """Returns the sentences of the text, in order."""
    if options.text is None:
        folder = options.out / "text" / "sources"
        corpus = data.open_corpus(standard_library_text.write_texts(folder))
    else:
        corpus = data.open_corpus(options.text)
    sentences, words = [], 0
    for _, text in corpus.texts():
        for paragraph in text.split("\n"):
            sentences += swapped_words.split_sentences(paragraph)
            words += paragraph.count(" ") + 1
        if words >= options.max_words:
            break
    if len(sentences) < MIN_SENTENCES:
        raise ValueError(
            f"The text has {len(sentences)} sentences in {words} words; it "
            f"takes {MIN_SENTENCES} sentences at least. "
            f"Received: text={options.text!r}"
        )
    print(f"{len(sentences):,} sentences, {words:,} words")
    return sentences


def split_blocks(sentences, size=100, every=5):
    """Returns blocks for pretraining, and sentences that are not in them."""
    blocks = [
        sentences[start : start + size]
        for start in range(0, len(sentences), size)
    ]
    kept = [block for i, block in enumerate(blocks) if i % every != every - 1]
    pretrained = set(itertools.chain.from_iterable(kept))
    held_out = itertools.chain.from_iterable(blocks[every - 1 :: every])
    new = dict.fromkeys(s for s in held_out if s not in pretrained)
    return kept, list(new)


def pretrain(options, blocks, folder):
    """Pretrains the graph predictor; returns its preset folder."""
    path = folder.path / "text" / "pretraining.txt"
    path.parent.mkdir(exist_ok=True)
    text = "".join(" ".join(block) + "\n" for block in blocks)
    standard_library_text.write_if_changed(path, text)
    fields = {x.name for x in dataclasses.fields(pretrain_text.Options)}
    shared = {n: x for n, x in vars(options).items() if n in fields}
    changed = {
        "corpus": (str(path),),
        "out": folder.path / "pretraining",
        "cache": folder.path / "cache",
        "validation_steps": 4,
        "jit_compile": "false",  # it would compile for each window length
    }
    return pretrain_text.pretrain(pretrain_text.Options(**shared | changed))


def train_classifiers(options, predictor, task, folder):
    """Trains each kind of graph with each seed, unless that was done."""
    runs = []
    for mode, seed in itertools.product(
        swapped_words.MODES, range(options.seeds)
    ):
        path = folder.path / "task" / f"{mode}-{seed}.json"
        if path.exists():
            run = json.loads(path.read_text("utf-8"))
        else:
            run = swapped_words.train_classifier(
                options, mode, seed, predictor, task
            )
            path.parent.mkdir(exist_ok=True)
            with training.atomic_file(path) as file:
                json.dump(run, file, indent=2)
        print(
            f"{mode}, seed {seed}: test accuracy {run['accuracy']:.2%}, "
            f"{run['seconds']:.0f} s",
            flush=True,
        )
        runs.append(run)
    return runs


def report(runs, folder):
    """Prints the table, writes results.csv; returns the table's rows."""
    with training.atomic_file(folder.path / "results.csv") as file:
        writer = csv.DictWriter(file, list(runs[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(runs)
    rows = []
    for mode in swapped_words.MODES:
        mine = [run for run in runs if run["mode"] == mode]
        scores = [run["accuracy"] for run in mine]
        row = {
            "mode": mode,
            "parameters": mine[0]["parameters"],
            "mean": statistics.mean(scores),
            "deviation": statistics.stdev(scores) if len(scores) > 1 else 0.0,
            "seconds": sum(run["seconds"] for run in mine),
        }
        rows.append(row)
    shown = [
        {**row, "accuracy": f"{row['mean']:.2%} ± {row['deviation']:.2%}"}
        for row in rows
    ]
    print("\n" + tabulate.tabulate(shown, headers="keys"))
    print(
        f"(test accuracy, mean ± standard deviation of {len(mine)} seeds; "
        "parameters that were trained)\n"
    )
    return rows


def draw(predictor, task, folder):
    """Draws the first held-out sentence of at most 20 tokens.

    `graph` is the head that is sharpest on it: the lowest mean entropy of
    the rows, among the heads in which at most half of the rows are empty
    (among all, if there is none).
    """
    inputs, _ = task["test"]
    lengths = inputs["padding_mask"].sum(1)
    index = int(np.argmax((lengths <= 20) & (np.arange(len(lengths)) % 2 == 0)))
    length = int(lengths[index])
    inputs = {name: x[index : index + 1, :length] for name, x in inputs.items()}
    tokens = [predictor.vocabulary[i] for i in inputs["token_ids"][0]]
    for name, graphs in predictor(inputs).items():
        graphs = keras.ops.convert_to_numpy(graphs)
        analysis.plot_graph_grid(
            graphs[0],
            tokens,
            title=f"All {name.replace('_', ' ')} of a held-out sentence",
            path=folder.figures_dir / f"{name}.png",
        )
        if name == "forward_graphs":
            layer, head = sharpest(graphs)
            analysis.plot_graph(
                graphs[0, layer, head],
                tokens,
                title=f"Learned graph, looking back: layer {layer + 1}, "
                f"head {head + 1}",
                path=[
                    folder.figures_dir / f"graph.{x}" for x in ("png", "svg")
                ],
            )


def sharpest(graphs):
    """Returns the layer and head that `draw` shows of forward graphs."""
    numbers = analysis.graph_statistics(graphs, direction="forward")
    entropy, empty = numbers["mean_entropy"], numbers["empty_rows"]
    empty = np.where((empty <= 0.5).any(), empty > 0.5, False)
    entropy = np.where(empty, np.inf, entropy)
    return np.unravel_index(np.argmin(entropy), entropy.shape)


def export(predictor, task, folder):
    """Exports the predictor; returns the largest error of its graphs."""
    target = folder.path / "saved_model" / "1"
    if not target.exists():
        serving.export_saved_model(predictor, target.parent, version=1)
    inputs = {name: x[:8] for name, x in task["test"][0].items()}
    error = largest_error(predictor, inputs, run_saved_model(target, inputs))
    print(f"SavedModel: graphs differ by {error:.1e} at most")
    return error


def print_places(folder, preset):
    """Prints where everything is."""
    places = {
        "learned predictor": preset,
        "SavedModel": folder.path / "saved_model" / "1",
        "pictures": folder.figures_dir,
        "accuracy of each run": folder.path / "results.csv",
        "the table": folder.metrics_path,
    }
    for name, path in places.items():
        print(f"{name:20} {path}")


if __name__ == "__main__":
    main(tyro.cli(Options))
