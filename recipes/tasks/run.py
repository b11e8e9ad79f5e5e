"""The runs of a task: seed after seed, each a run folder that goes on."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from glomo_keras import data
from glomo_keras import training
from glomo_keras.data.tasks.batches import Batches
from recipes.checks import fingerprint
from recipes.tasks import graphs
from recipes.tasks import options as options_lib
from recipes.tasks import pictures

WEIGHTS = "best.weights.h5"


@dataclasses.dataclass
class TaskData:
    """What a recipe has read, ready for all seeds.

    Args:
        train: `data.Examples`.
        validation: `data.Examples`.
        features: what `features.make_features` gave, prepared.
        lexicon: `data.Lexicon`.
        facts: dict, written into the metrics of every run.
        extra: whatever else the recipe needs for its evaluation.
    """

    train: data.Examples
    validation: data.Examples
    features: Any
    lexicon: data.Lexicon
    facts: dict
    extra: Any = None


@dataclasses.dataclass
class Task:
    """What is a task's own.

    Args:
        check: function of the options that refuses those out of range.
        load: function of the options that returns `TaskData`; refuses bad
            input.
        build: function of `(options, data, graphs, width, seed)` that returns
            a model, not compiled.
        compile: function of `(options, model)`.
        evaluate: function of `(options, model, data, folder)` that writes
            the predictions to `folder.path` and returns a dict of metrics.
        results: tuple of the names of the files that it writes there.
        width: name of the option that the mode `matched` widens.
        monitor: the quantity of the best epoch.
        monitor_mode: `"max"` or `"min"`.
        callbacks: function of `(options, data)` that returns a list of
            callbacks, which come first: what they put into the logs of an
            epoch can be monitored.
    """

    check: Callable
    load: Callable
    build: Callable
    compile: Callable
    evaluate: Callable
    results: tuple[str, ...]
    width: str = "hidden_dim"
    monitor: str = "val_accuracy"
    monitor_mode: str = "max"
    callbacks: Callable = lambda options, data: []


def run(task, options):
    """Runs all seeds.

    Args:
        task: `Task`.
        options: the recipe's `TaskOptions`.

    Returns:
        List of the metrics of each seed.
    """
    options_lib.check(options)
    task.check(options)
    keras.config.set_dtype_policy(options.precision)
    loaded, folders, metrics = None, [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        folder = training.RunFolder(
            options.out / f"seed-{seed}", (WEIGHTS, *task.results)
        )
        settings = {**dataclasses.asdict(options), "seed": seed}
        for name in options_lib.HARMLESS:
            del settings[name]
        with folder.start(settings, overwrite=options.overwrite):
            folders.append(folder)
            if not folder.finished and loaded is None:
                loaded = task.load(options)
                facts = describe(options, loaded)
                for other in folders[:-1]:
                    other.check_data(facts)
            if loaded is not None:
                folder.check_data(facts)
            if not folder.finished:
                run_seed(task, options, loaded, seed, folder)
            metrics.append(folder.read_metrics())
    report(metrics, options)
    return metrics


def describe(options, loaded):
    """What tells the data and the predictor of a run from others."""
    arrays = {}
    for part in ("train", "validation"):
        examples = getattr(loaded, part)
        for name, rows in examples.texts.items():
            arrays[f"{part}_{name}_words"] = np.concatenate(rows)
        for name, values in examples.targets.items():
            arrays[f"{part}_{name}"] = np.asarray(values)
    arrays |= {f"{k}_table": x for k, x in loaded.train.tables.items()}
    return {
        **loaded.facts,
        **fingerprint(arrays),
        "predictor": graphs.preset_digest(options),
    }


def run_seed(task, options, loaded, seed, folder):
    """One run: fits, takes the best epoch, evaluates, writes, draws."""
    model = build(task, options, loaded, seed)
    before = graphs.digest(model.graphs.predictor)
    history = fit(task, options, loaded, model, seed, folder)
    training.check_finite(history)
    model.load_weights(best_path(folder))
    if graphs.digest(model.graphs.predictor) != before:
        raise RuntimeError("Training has changed the frozen predictor.")
    metrics = {
        "seed": seed,
        "graph": options.graph,
        **loaded.facts,
        "trained_parameters": graphs.trained_parameters(model),
        "predictor_sha256": before,
        **best_epoch(task, history),
        **task.evaluate(options, model, loaded, folder),
    }
    title = f"{options.graph}, seed {seed}"
    pictures.draw(model, loaded, folder, title)
    folder.write_metrics(metrics)
    print(f"-> {folder.metrics_path}", flush=True)


def build(task, options, loaded, seed):
    """A compiled model with the weights it starts from."""

    def with_width(made_graphs, width):
        return task.build(options, loaded, made_graphs, width, seed)

    width = graphs.match(options, with_width, getattr(options, task.width))
    # After the search, which draws random weights.
    keras.utils.set_random_seed(seed)
    model = with_width(graphs.make_graphs(options, seed), width)
    task.compile(options, model)
    print(
        f"{graphs.describe(options)}: {model.count_params():,} parameters, "
        f"{graphs.trained_parameters(model):,} of them trained; "
        f"XLA: {model.jit_compile}"
    )
    return model


def fit(task, options, loaded, model, seed, folder):
    """Trains; the weights of the best epoch are in `best_path(folder)`."""
    sampler = data.BucketedBatches(loaded.train, options.batch_size, seed)
    return training.fit_resumable(
        model,
        lambda first_step: as_dataset(sampler, first_step),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch or sampler.steps_per_epoch,
        run_folder=folder,
        callbacks=[
            *task.callbacks(options, loaded),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.ModelCheckpoint(
                best_path(folder),
                monitor=task.monitor,
                mode=task.monitor_mode,
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.EarlyStopping(
                task.monitor,
                mode=task.monitor_mode,
                patience=options.patience,
                verbose=1,
            ),
        ],
        validation_data=as_dataset(
            data.EvaluationBatches(loaded.validation, options.batch_size)
        ),
    )


def as_dataset(batches, start_step=0):
    """Batches as what `fit` takes on the backend in use."""
    if keras.backend.backend() == "tensorflow":
        return data.as_dataset(batches, start_step)
    return Batches(batches, start_step)


def needs_few_lengths(options):
    """Whether a step is compiled anew for each length of a batch."""
    other = keras.backend.backend() != "tensorflow"
    return other or options.jit_compile == "true"


def predict(options, model, examples):
    """What a model gives for examples, in their order.

    Returns:
        Dict of arrays `(N, ...)` where outputs are of one shape.
    """
    batches = data.EvaluationBatches(examples, options.batch_size)
    outputs = model.predict(as_dataset(batches), verbose=0)
    return {name: batches.restore(x) for name, x in outputs.items()}


def best_path(folder):
    return folder.path / WEIGHTS


def best_epoch(task, history):
    """The logs of the best epoch and its number, counted from 1."""
    values = np.array(history.history[task.monitor])
    best = values.argmax() if task.monitor_mode == "max" else values.argmin()
    logs = {name: x[best] for name, x in history.history.items()}
    return {
        "epochs": len(history.epoch),
        "best_epoch": int(best) + 1,
        **{k: v for k, v in logs.items() if k.startswith("val_")},
    }


def report(metrics, options):
    """Prints mean and standard deviation over the seeds."""
    print(f"{options.out}: {options.graph}, {len(metrics)} seed(s)")
    for name, value in metrics[0].items():
        if isinstance(value, float):
            values = np.array([row[name] for row in metrics])
            spread = values.std(ddof=1) if len(values) > 1 else float("nan")
            print(f"  {name}: {values.mean():.4f} +- {spread:.4f}")
