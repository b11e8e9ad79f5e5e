"""Runs over seeds: one after the other, each in a folder of its own."""

import dataclasses
import pathlib
import sys
from typing import Literal

import keras
import numpy as np
import tabulate

from glomo_keras import training
from recipes.common import check_not_negative
from recipes.common import check_positive

HARMLESS = ("out", "seeds", "first_seed", "overwrite")
"""Options that do not belong to a single run."""


@dataclasses.dataclass(kw_only=True)
class SeedOptions:
    """Options of every recipe that trains a task with several seeds."""

    out: pathlib.Path
    """Folder of the runs: OUT/seed-0, OUT/seed-1, ..."""
    seeds: int = 1
    """How many runs, with seeds that follow each other."""
    first_seed: int = 0
    """Seed of the first run."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: Literal["auto", "true", "false"] = "auto"
    """Whether XLA compiles the training step."""
    overwrite: bool = False
    """Empty run folders that hold runs with other options."""


def check_seeds(options):
    """Raises ValueError if there is no seed, or a negative one."""
    check_positive(options, "seeds")
    check_not_negative(options, "first_seed")


def run_seeds(options, load, train, describe, results=(), harmless=()):
    """Makes the runs that are not finished, and reports on all.

    Args:
        options: `SeedOptions` with `graph`, checked.
        load: function of the options that returns the data of all runs.
        train: function of `(options, loaded, seed, folder)` that trains and
            tests a model and returns its metrics.
        describe: function of `(options, loaded)` that returns facts that
            identify the data.
        results: names of files that a run leaves besides the usual ones.
        harmless: names of options that may differ in a run that goes on.

    Returns:
        List of the metrics of each seed.
    """
    keras.config.set_dtype_policy(options.precision)
    loaded, folders, metrics = None, [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        folder = training.RunFolder(options.out / f"seed-{seed}", results)
        settings = {**dataclasses.asdict(options), "seed": seed}
        for name in HARMLESS:
            del settings[name]
        settings["recipe"] = recipe_of(options)
        known = ("recipe", *harmless)
        with folder.start(settings, known, options.overwrite):
            folders.append(folder)
            if loaded is None and not folder.finished:
                loaded = load(options)
                facts = describe(options, loaded)
            if loaded is not None:
                for each in folders:
                    each.check_data(facts)
            if not folder.finished:
                found = train(options, loaded, seed, folder)
                folder.write_metrics({"seed": seed, **found})
                print(f"-> {folder.metrics_path}", flush=True)
            metrics.append(folder.read_metrics())
    report(options, metrics)
    return metrics


def recipe_of(options):
    """Returns the name of the recipe's module, whose `Options` these are."""
    name = type(options).__module__
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec.name if spec else name  # "__main__" has a name of its own


def report(options, metrics):
    """Prints mean and standard deviation over the seeds."""
    print(f"{options.out}: {options.graph}, {len(metrics)} seed(s)")
    rows = []
    for name, value in metrics[0].items():
        if isinstance(value, float):
            values = np.array([row[name] for row in metrics])
            spread = values.std(ddof=1) if len(values) > 1 else None
            rows.append([name, values.mean(), spread])
    headers = ["metric", "mean", "standard deviation"]
    print(tabulate.tabulate(rows, headers, floatfmt=".4f"))
