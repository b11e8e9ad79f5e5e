"""Measures a finished pretraining on its held-out text.

    python -m recipes.pretrain.evaluate --run runs/wiki

The next-word task: every word of a held-out window but the first is predicted
from all words before it (`backward`: every word but the last, from all words
after it). The windows are those of the
training's validation, all of them or `--windows` evenly spaced ones.

Writes RUN/evaluation.json: perplexity per direction on that task and at each
distance 1 to D from the word whose feature is decoded (the decoder is given
the words in between); density, empty rows, mean edge distance and mean entropy
of the graphs of each layer and head; the corpus; and the SHA-256 of the
windows, which `recipes.pretrain.model_card` compares with that of
`recipes.pretrain.ngram_baselines`. Everything is computed in float32.
"""

import dataclasses
import hashlib
import pathlib

import keras
import numpy as np
import tyro
from tqdm import tqdm

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import files
from recipes.common import check_data
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.pretrain import text as pretrain_text


@dataclasses.dataclass
class Options:
    """Measures a finished run of recipes.pretrain.text."""

    run: pathlib.Path
    """The run folder."""
    windows: int = 0
    """Held-out windows, evenly spaced; 0 takes all."""
    graph_windows: int = 32
    """Windows, evenly spaced, whose graphs are described."""
    batch_size: int = 16
    corpus: tuple[str, ...] | None = None
    """The run's text, if it has moved."""
    cache: pathlib.Path | None = None
    """Where the tokenised corpus is kept, if elsewhere than for the run."""


def evaluate(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        Dict, the content of RUN/evaluation.json.
    """
    check_not_negative(options, "windows")
    check_positive(options, "graph_windows", "batch_size")
    settings = pretrain_text.read_run(options.run, ["pretrainer", "preset"])
    moved = {"corpus": options.corpus, "cache": options.cache}
    settings = dataclasses.replace(
        settings, **{name: x for name, x in moved.items() if x}
    )
    corpus = pretrain_text.load(settings)
    check_data(pretrain_text.describe_text(corpus), options.run)
    windows = held_out_windows(
        corpus.validation, settings.max_length, options.windows
    )
    pretrainer = gk.ContextPretrainer.from_preset(
        options.run / "pretrainer", dtype="float32"
    )
    by_distance = perplexities(pretrainer, windows, options.batch_size)
    evaluation = {
        "settings": {
            "windows": options.windows,
            "graph_windows": options.graph_windows,
            "corpus": options.corpus,
        },
        "corpus": describe_corpus(corpus, settings),
        "windows": describe_windows(windows),
        "next_word_perplexity": {d: by_distance[d][0] for d in DIRECTIONS},
        "perplexity_by_distance": by_distance,
        "graphs": describe_graphs(
            pretrainer.graph_predictor, windows, options.graph_windows
        ),
        "keras_version": keras.version(),
    }
    report(evaluation, options.run / "evaluation.json")
    return evaluation


def held_out_windows(stream, max_length, count=0):
    """Returns the windows of a validation stream.

    Args:
        stream: a `TokenStream`.
        max_length: int, T.
        count: int, how many, evenly spaced. Defaults to 0: all.

    Returns:
        Dict of `token_ids` int32 (W, T), 0 where padded, and `padding_mask`
        bool (W, T).
    """
    windows = data.EvaluationWindows(stream, 1, max_length)
    number = min(count, len(windows)) if count else len(windows)
    chosen = np.linspace(0, len(windows) - 1, number).round().astype(int)
    batches = [windows.batch(index) for index in chosen.tolist()]
    return {
        name: np.concatenate([batch[name] for batch in batches])
        for name in ("token_ids", "padding_mask")
    }


def describe_windows(windows):
    """Returns sizes and checksum of windows."""
    mask = windows["padding_mask"]
    checksum = hashlib.sha256()
    for name in ("token_ids", "padding_mask"):
        checksum.update(np.ascontiguousarray(windows[name]).tobytes())
    return {
        "count": len(mask),
        "max_length": mask.shape[1],
        "words": int(mask.sum()),
        "events": num_events(mask, 1),
        "sha256": checksum.hexdigest(),
    }


def num_events(padding_mask, distance):
    """Returns how many words lie `distance` after another of their window."""
    return int(np.maximum(padding_mask.sum(1) - distance, 0).sum())


def perplexities(pretrainer, windows, batch_size):
    """Returns the perplexity per direction at each distance.

    A decoder of n steps gives the total loss of the distances 1 to n, so the
    loss at distance n is a difference of two totals.

    Args:
        pretrainer: a `ContextPretrainer` with context length D.
        windows: dict as `held_out_windows` returns it.
        batch_size: int.

    Returns:
        Dict of `forward` and `backward`, each a list of D floats; the first
        is the perplexity on the next-word task.
    """
    lengths = range(1, pretrainer.context_length + 1)
    totals = [np.zeros(len(DIRECTIONS))] + [
        total_losses(pretrainer, length, windows, batch_size)
        for length in lengths
    ]
    counts = [num_events(windows["padding_mask"], n) for n in lengths]
    means = np.diff(totals, axis=0) / np.array(counts)[:, None]  # (D, 2)
    return dict(zip(DIRECTIONS, np.exp(means).T.tolist(), strict=True))


def total_losses(pretrainer, context_length, windows, batch_size):
    """Returns the sum of the losses of all predicted words per direction."""
    shorter = type(pretrainer).from_config(
        {**pretrainer.get_config(), "context_length": context_length}
    )
    shorter.set_weights(pretrainer.get_weights())
    batches = list(full_batches(windows, batch_size))
    total = np.zeros(len(DIRECTIONS))
    for batch in tqdm(batches, f"{context_length} ahead", delay=0.5):
        losses = shorter.predict_on_batch(batch)
        mask = batch["padding_mask"]
        count = sum(num_events(mask, n + 1) for n in range(context_length))
        total += [count * float(losses[f"{d}_loss"]) for d in DIRECTIONS]
    return total


def full_batches(windows, batch_size):
    """Yields batches of one shape, the last one filled up with padding."""
    number = len(windows["padding_mask"])
    for start in range(0, number, batch_size):
        missing = max(start + batch_size - number, 0)
        yield {
            name: np.pad(
                value[start : start + batch_size], ((0, missing), (0, 0))
            )
            for name, value in windows.items()
        }


def describe_graphs(predictor, windows, count):
    """Returns statistics of the graphs of some windows, lists (L, K)."""
    number = len(windows["padding_mask"])
    chosen = np.linspace(0, number - 1, min(count, number)).round().astype(int)
    some = {name: value[chosen] for name, value in windows.items()}
    graphs = predictor.predict_on_batch(some)
    described = {"windows": len(chosen)}
    for direction in DIRECTIONS:
        statistics = analysis.graph_statistics(
            graphs[f"{direction}_graphs"], some["padding_mask"], direction
        )
        described[direction] = {k: x.tolist() for k, x in statistics.items()}
    return described


def describe_corpus(corpus, settings):
    """Returns the sources and sizes of a corpus."""
    return {
        "sources": settings.corpus,
        "words": corpus.num_words,
        "unknown_rate": corpus.unknown_rate,
        "vocabulary_size": len(corpus.vocabulary),
        "train_words": corpus.train.num_words,
        "train_texts": corpus.train.num_texts,
        "held_out_words": corpus.validation.num_words,
        "held_out_texts": corpus.validation.num_texts,
    }


def report(evaluation, path):
    """Writes the file and prints the main numbers."""
    files.write_json(path, evaluation)
    windows = evaluation["windows"]
    print(f"{windows['events']:,} events in {windows['count']:,} windows")
    for direction in DIRECTIONS:
        values = evaluation["perplexity_by_distance"][direction]
        text = ", ".join(f"{value:.2f}" for value in values)
        density = np.mean(evaluation["graphs"][direction]["density"])
        print(
            f"{direction}: perplexity at distance 1 to {len(values)}: {text}; "
            f"edge density {density:.3f}"
        )
    print(f"-> {path}")


if __name__ == "__main__":
    evaluate(tyro.cli(Options))
