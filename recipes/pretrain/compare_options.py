"""Chooses a pretraining configuration by held-out loss on a fixed budget.

    python -m recipes.pretrain.compare_options --corpus 'wiki/AA/wiki_*' \
        --cpu-minutes 3 --out runs/choices

Takes every option of recipes.pretrain.text; each variant changes one or two of
them and trains for the same CPU time; how many steps that is, is measured
first, so that the schedule of the learning rate fits. The table has the steps,
the perplexity of the next word on held-out windows (see
`recipes.pretrain.evaluate`) and, by layer, how dense the graphs are and how
many rows are empty.
OUT/NAME-SEED is the run folder of a variant: started again, the command goes
on. OUT/choices.csv is the table.
"""

import csv
import dataclasses
import json
import time
from typing import Literal

import keras
import numpy as np
import tabulate
import tyro

from glomo_keras import data
from glomo_keras import training
from recipes.common import refuse
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
WARMUP, MEASURED = 4, 40
"""Steps before those whose time is measured, and these."""
DIRECTIONS = evaluate_pretrainer.DIRECTIONS


@dataclasses.dataclass
class Options(pretrain_text.Options):
    """Trains variants of a pretraining for the same CPU time."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = (
        "mixed_bfloat16"
    )
    """float32 is faster on some processors: `benchmarks --sections ceiling`."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Which of VARIANTS."""
    cpu_minutes: float = 3.0
    """CPU time of a training: that of all cores together."""
    seeds: int = 1
    windows: int = 100
    """Held-out windows of the evaluation."""


def main(options):
    """Runs the recipe; returns the rows of the table."""
    if not set(options.variants) <= set(VARIANTS):
        refuse("variants", f"among {sorted(VARIANTS)}", options)
    rows = []
    for name in options.variants:
        for seed in range(options.seeds):
            rows.append(train_variant(options, name, seed))
            report(options, rows)
    return rows


def train_variant(options, name, seed):
    """Trains and measures a variant, unless that was done before.

    Returns:
        Dict, a row of the table.
    """
    settings = resolve(options, name, seed)
    keras.config.set_dtype_policy(settings.precision)
    steps = steps_of_budget(options, settings)
    pretrain_text.pretrain(
        dataclasses.replace(settings, epochs=1, steps_per_epoch=steps)
    )
    found = evaluate_pretrainer.evaluate(
        evaluate_pretrainer.Options(settings.out, options.windows, 8)
    )
    keras.backend.clear_session()
    perplexity = found["next_word_perplexity"]
    return {
        "variant": name,
        "seed": seed,
        "steps": steps,
        **{f"{d}_perplexity": round(perplexity[d], 1) for d in DIRECTIONS},
        **{
            name: by_layer([found["graphs"][d][name] for d in DIRECTIONS])
            for name in ("density", "empty_rows", "mean_distance")
        },
    }


def resolve(options, name, seed):
    """Returns the options of `recipes.pretrain.text` for a variant."""
    names = {field.name for field in dataclasses.fields(pretrain_text.Options)}
    given = {k: x for k, x in vars(options).items() if k in names}
    given |= {"out": options.out / f"{name}-{seed}", "seed": seed}
    return pretrain_text.resolve(
        pretrain_text.Options(**{**given, **VARIANTS[name]})
    )


def steps_of_budget(options, settings):
    """Returns how many steps the budget allows, measured the first time."""
    path = options.out / f"{settings.out.name}-steps.json"
    if path.exists():
        record = json.loads(path.read_text("utf-8"))
        if record["cpu_minutes"] != options.cpu_minutes:
            raise ValueError(
                f"--cpu-minutes was {record['cpu_minutes']} in this folder: "
                "take another one. "
                f"Received: cpu_minutes={options.cpu_minutes}"
            )
        return record["steps"]
    seconds = seconds_of_step(settings, pretrain_text.load(settings))
    steps = max(1, int(60 * options.cpu_minutes / seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"cpu_minutes": options.cpu_minutes, "steps": steps}
    path.write_text(json.dumps(record), "utf-8")
    return steps


def seconds_of_step(settings, corpus):
    """Measures the CPU seconds of a training step."""
    keras.utils.set_random_seed(settings.seed)
    settings = dataclasses.replace(
        settings, epochs=1, steps_per_epoch=WARMUP + MEASURED
    )
    pretrainer = pretrain_text.build(settings, corpus)
    sampler = data.WindowSampler(
        corpus.train, settings.batch_size, settings.max_length, settings.seed
    )
    for first, steps in ((0, WARMUP), (WARMUP, MEASURED)):
        start = time.process_time()
        pretrainer.fit(
            data.as_dataset(sampler, first),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
        )
    return (time.process_time() - start) / MEASURED


def by_layer(values):
    """Returns means over directions and heads, one for each layer."""
    return " ".join(f"{x:.2f}" for x in np.mean(values, axis=(0, 2)))


def report(options, rows):
    """Prints the table so far, and writes it as CSV."""
    print(tabulate.tabulate(rows, headers="keys"), flush=True)
    with training.atomic_file(options.out / "choices.csv") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
