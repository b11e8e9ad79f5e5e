"""Chooses a pretraining configuration by held-out loss on a fixed budget.

    python -m recipes.pretrain.compare_options --corpus 'wiki/AA/wiki_*' \
        --cpu-minutes 3 --out runs/choices

Each variant changes one option of `--config small` of recipes.pretrain.text
(in `--precision`) and trains, in a process of its own, for the same CPU time;
how many steps that is, is measured first, so that the learning rate's schedule
fits. The table has the steps, the perplexity of the next word on held-out
windows in each direction (`recipes.pretrain.evaluate` has the definition),
how dense the graphs are and how many of their rows are empty, by layer.
OUT/NAME-SEED.json is
kept: started again, the command goes on, with the same text and budget alone;
OUT/choices.csv is the table.
"""

import csv
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Literal

import keras
import numpy as np
import tyro

from glomo_keras import data
from glomo_keras import training
from recipes.pretrain import evaluate as evaluate_pretrainer
from recipes.pretrain import text as pretrain_text

VARIANTS = {
    "base": {},
    "embedding_range_0.1": {"embedding_range": 0.1},
    "embedding_range_0.25": {"embedding_range": 0.25},
    "all_positions": {"num_positions": 0},
    "positions_20": {"num_positions": 20},
    "all_words": {"num_candidates": 0},
    "learning_rate_2e-3": {"learning_rate": 2e-3},
    "learning_rate_8e-3": {"learning_rate": 8e-3},
    "learning_rate_16e-3": {"learning_rate": 16e-3},
    "sgd": {"optimizer": "sgd", "learning_rate": 8.0},
    "layer_normalization": {"normalization": "layer"},
    "no_normalization": {"normalization": "none"},
    "scalar_threshold": {"threshold": "scalar"},
    "softmax": {"activation": "softmax"},
    "residual": {"composition": "residual"},
    "heads_4x32": {"num_heads": 4, "key_dim": 32},
    "context_1": {"context_length": 1},
    "context_5": {"context_length": 5},
    "convolutions_4": {"num_conv_layers": 4},
    "batch_8": {"batch_size": 8},
    "windows_200": {"max_length": 200, "batch_size": 8},
    "float32": {"precision": "float32"},
}
CALIBRATION_STEPS = (4, 40)
HARMLESS = ("out", "cache", "variants", "seeds", "one")
DIRECTIONS = evaluate_pretrainer.DIRECTIONS


@dataclasses.dataclass
class Options:
    """Trains variants of a pretraining on the same CPU time."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    out: pathlib.Path = pathlib.Path("runs/choices")
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised corpus is kept."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Which, of those in VARIANTS."""
    cpu_minutes: float = 3.0
    """CPU time of a training: that of all cores together."""
    seeds: int = 1
    precision: Literal["float32", "mixed_bfloat16"] = "mixed_bfloat16"
    """Of the variants that do not set it; float32 is the faster one on some
    processors, see `benchmarks --sections ceiling`."""
    windows: int = 100
    """Held-out windows of the evaluation."""
    one: str | None = None
    """NAME:SEED, one training in this process, printed as JSON."""


def main(options):
    unknown = sorted(set(options.variants) - set(VARIANTS))
    if unknown:
        raise SystemExit(
            f"--variants must be among {sorted(VARIANTS)}. Received: {unknown}"
        )
    if options.one is not None:
        name, seed = options.one.split(":")
        print(json.dumps(train_variant(options, name, int(seed))))
        return
    results = ["choices.csv", *(f"{name}-*.json" for name in VARIANTS)]
    folder = training.RunFolder(options.out, results)
    with folder.start(options, HARMLESS):
        corpus = pretrain_text.load(resolve(options, "base", 0))
        folder.check_data(pretrain_text.describe(corpus))
        rows = []
        for name in options.variants:
            for seed in range(options.seeds):
                rows.append(result_of(options, name, seed))
                show(rows)
        write_table(options.out / "choices.csv", rows)


def result_of(options, name, seed):
    """The row of one training, from its file if it was run before."""
    path = options.out / f"{name}-{seed}.json"
    if not path.exists():
        arguments = ["--corpus", *options.corpus, "--one", f"{name}:{seed}"]
        for field in ("cache", "cpu_minutes", "precision", "windows"):
            value = str(getattr(options, field))
            arguments += [f"--{field.replace('_', '-')}", value]
        output = subprocess.run(
            [
                sys.executable,
                "-m",
                "recipes.pretrain.compare_options",
                *arguments,
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        row = json.loads(output.splitlines()[-1])
        with training.atomic_file(path) as file:
            json.dump(row, file)
    return json.loads(path.read_text())


def resolve(options, name, seed):
    """Those of `recipes.pretrain.text` for a variant."""
    return pretrain_text.resolve(
        pretrain_text.Options(
            corpus=options.corpus,
            out=options.out,
            cache=options.cache,
            seed=seed,
            **{"precision": options.precision, **VARIANTS[name]},
        )
    )


def train_variant(options, name, seed):
    """Trains one variant and measures it.

    Args:
        options: `Options`.
        name: key of `VARIANTS`.
        seed: integer.

    Returns:
        Dict, a row of the table.
    """
    settings = resolve(options, name, seed)
    keras.config.set_dtype_policy(settings.precision)
    corpus = pretrain_text.load(dataclasses.replace(settings, seed=0))
    step_seconds = measure_step(settings, corpus)
    steps = max(1, int(60 * options.cpu_minutes / step_seconds))
    pretrainer = fit(settings, corpus, steps)[0]
    windows = evaluate_pretrainer.held_out_windows(
        corpus.validation, settings.max_length, options.windows
    )
    alone = evaluate_pretrainer.with_context_length(pretrainer, 1)
    losses = evaluate_pretrainer.total_losses(alone, windows, 16)
    events = evaluate_pretrainer.num_events(windows["padding_mask"], 1)
    forward, backward = np.exp(losses / events).tolist()
    graphs = evaluate_pretrainer.describe_graphs(
        pretrainer.graph_predictor, windows, 8
    )
    return {
        "variant": name,
        "changes": json.dumps(VARIANTS[name]),
        "seed": seed,
        "cpu_minutes": options.cpu_minutes,
        "steps": steps,
        "words": steps * settings.batch_size * settings.max_length * 3 // 4,
        "forward_perplexity": round(forward, 1),
        "backward_perplexity": round(backward, 1),
        **{
            name: by_layer([graphs[d][name] for d in DIRECTIONS])
            for name in ("density", "empty_rows", "mean_distance")
        },
    }


def by_layer(values):
    """Means over directions and heads, the layers side by side."""
    return " ".join(f"{x:.2f}" for x in np.mean(values, axis=(0, 2)))


def measure_step(settings, corpus):
    """CPU seconds of a training step, without what comes before the first."""
    warmup, measured = CALIBRATION_STEPS
    _, seconds = fit(settings, corpus, warmup + measured, skip=warmup)
    return seconds / measured


def fit(settings, corpus, steps, skip=0):
    """Trains for some steps from the seed on.

    Returns:
        The pretrainer, and the CPU seconds of the steps after the first
        `skip`.
    """
    keras.utils.set_random_seed(settings.seed)
    settings = dataclasses.replace(settings, epochs=1, steps_per_epoch=steps)
    pretrainer = pretrain_text.build(settings, corpus)
    sampler = data.WindowSampler(
        corpus.train, settings.batch_size, settings.max_length, settings.seed
    )
    clock = _Clock(skip)
    pretrainer.fit(
        data.as_dataset(sampler, 0),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[clock],
    )
    return pretrainer, time.process_time() - clock.start


class _Clock(keras.callbacks.Callback):
    def __init__(self, skip):
        super().__init__()
        self.skip = skip

    def on_train_batch_begin(self, batch, logs=None):
        if batch <= self.skip:
            self.start = time.process_time()


def show(rows):
    if len(rows) == 1:
        print("  ".join(rows[0]))
    print("  ".join(str(value) for value in rows[-1].values()), flush=True)


def write_table(path, rows):
    with training.atomic_file(path) as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(f"-> {path}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(tyro.cli(Options))
