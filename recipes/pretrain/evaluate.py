"""Measures a finished pretraining on its held-out text.

    python -m recipes.pretrain.evaluate --run runs/wiki

The next-word task: each unit of a held-out window that has a predecessor in
its window is predicted from all earlier units of that window (`backward`: a
unit that has a successor, from all later ones). The windows are those of the
training's validation, all of them or `--windows` evenly spaced ones.

Writes RUN/evaluation.json: perplexity per direction on that task and at each
distance 1 to D from the unit whose feature is decoded (the words in between
are fed to the decoder); density, empty rows, mean edge distance and mean
entropy of the graphs of each layer and head; the corpus; and the SHA-256 of
the windows, by which `recipes.pretrain.ngram_baselines` is matched. All of it in
float32, whatever the training's precision.
"""

import dataclasses
import hashlib
import json
import pathlib

import keras
import numpy as np
import tyro
from tqdm import tqdm

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras.training import atomic_file
from recipes.pretrain import text as pretrain_text

DIRECTIONS = ("forward", "backward")


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
    """The run's text, if it lies elsewhere now."""
    cache: pathlib.Path | None = None
    """Where the tokenised corpus is kept, if elsewhere than for the run."""


def held_out_windows(stream, max_length, count=0):
    """The windows of a validation stream.

    Args:
        stream: a `TokenStream`.
        max_length: int, T.
        count: int, how many, evenly spaced; 0, or more than there are, takes
            all.

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
    """Sizes and checksum of windows, as JSON takes them."""
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
    """Units of windows that lie `distance` after another of their window."""
    return int(np.maximum(padding_mask.sum(1) - distance, 0).sum())


def perplexities(pretrainer, windows, batch_size):
    """Perplexity per direction at each distance.

    Args:
        pretrainer: a `ContextPretrainer` with context length D.
        windows: what `held_out_windows` returns.
        batch_size: int.

    Returns:
        Dict of `forward` and `backward`, each a list of D floats; the first
        is the perplexity on the next-word task.
    """
    sums = np.zeros((pretrainer.context_length + 1, len(DIRECTIONS)))
    for length in range(1, pretrainer.context_length + 1):
        sums[length] = total_losses(
            with_context_length(pretrainer, length), windows, batch_size
        )
    mask = windows["padding_mask"]
    counts = [num_events(mask, 1 + index) for index in range(len(sums) - 1)]
    means = np.diff(sums, axis=0) / np.array(counts)[:, None]  # (D, 2)
    return dict(zip(DIRECTIONS, np.exp(means).T.tolist(), strict=True))


def with_context_length(pretrainer, length):
    """The same pretrainer, its decoders making `length` steps, in float32."""
    config = {**pretrainer.get_config(), "dtype": "float32"}
    other = gk.ContextPretrainer.from_config(
        {**config, "context_length": length}
    )
    other.set_weights(pretrainer.get_weights())
    return other


def total_losses(pretrainer, windows, batch_size):
    """Sum of the losses of all predicted units, for each direction."""
    length = pretrainer.context_length
    batches = list(full_batches(windows, batch_size))
    total = np.zeros(len(DIRECTIONS))
    for batch in tqdm(batches, f"{length} ahead", delay=0.5):
        losses = pretrainer.predict_on_batch(batch)
        mask = batch["padding_mask"]
        count = sum(num_events(mask, 1 + index) for index in range(length))
        total += [count * float(losses[f"{d}_loss"]) for d in DIRECTIONS]
    return total


def full_batches(windows, batch_size):
    """Batches of one shape, the last one filled up with padding."""
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
    """Statistics of the graphs of some windows, lists (L, K)."""
    number = len(windows["padding_mask"])
    chosen = np.linspace(0, number - 1, min(count, number)).round().astype(int)
    some = {name: value[chosen] for name, value in windows.items()}
    graphs = predictor.predict_on_batch(some)
    return {
        direction: {
            name: value.tolist()
            for name, value in analysis.graph_statistics(
                graphs[f"{direction}_graphs"], some["padding_mask"], direction
            ).items()
        }
        for direction in DIRECTIONS
    } | {"windows": len(chosen)}


def describe_corpus(corpus, options):
    sources = data.open_corpus(
        list(options.corpus),
        min_paragraph_words=options.min_paragraph_words,
        data_dir=options.data_dir,
    ).sources
    return {
        "spec": options.corpus,
        "sources": len(sources),
        "words": corpus.num_words,
        "unknown_rate": corpus.unknown_rate,
        "vocabulary_size": len(corpus.vocabulary),
        "train_words": corpus.train.num_words,
        "train_texts": corpus.train.num_texts,
        "held_out_words": corpus.validation.num_words,
        "held_out_texts": corpus.validation.num_texts,
    }


def read_options(run):
    """The options of a finished run.

    Args:
        run: path of the run folder.

    Returns:
        `pretrain_text.Options`, resolved.

    Raises:
        ValueError: if the run is not finished.
    """
    missing = [
        name
        for name in ("config.json", "metrics.json", "pretrainer", "preset")
        if not (run / name).exists()
    ]
    if missing:
        raise ValueError(
            "Not the folder of a finished run of recipes.pretrain.text: "
            f"{', '.join(missing)} missing. Received: run={run}"
        )
    config = json.loads((run / "config.json").read_text("utf-8"))
    config["corpus"] = tuple(config["corpus"])
    for name in ("out", "cache"):
        config[name] = pathlib.Path(config[name])
    # A run of recipes.pretrain.train_packed has options of its own besides.
    names = {field.name for field in dataclasses.fields(pretrain_text.Options)}
    return pretrain_text.Options(
        **{name: x for name, x in config.items() if name in names}
    )


def evaluate(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        Dict, what is in RUN/evaluation.json.
    """
    run_options = read_options(options.run)
    moved = {"corpus": options.corpus, "cache": options.cache}
    run_options = dataclasses.replace(
        run_options, **{n: path for n, path in moved.items() if path}
    )
    pretrainer = gk.ContextPretrainer.from_preset(options.run / "pretrainer")
    corpus = pretrain_text.load(run_options)
    windows = held_out_windows(
        corpus.validation, run_options.max_length, options.windows
    )
    by_distance = perplexities(pretrainer, windows, options.batch_size)
    predictor = with_context_length(pretrainer, 1).graph_predictor
    evaluation = {
        "settings": {
            "windows": options.windows,
            "graph_windows": options.graph_windows,
            "corpus": options.corpus,
        },
        "corpus": describe_corpus(corpus, run_options),
        "windows": describe_windows(windows),
        "next_word_perplexity": {d: by_distance[d][0] for d in DIRECTIONS},
        "perplexity_by_distance": by_distance,
        "graphs": describe_graphs(predictor, windows, options.graph_windows),
        "keras_version": keras.version(),
    }
    path = options.run / "evaluation.json"
    with atomic_file(path) as file:
        file.write(json.dumps(evaluation, indent=2) + "\n")
    report(evaluation, path)
    return evaluation


def report(evaluation, path):
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
