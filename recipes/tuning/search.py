r"""Searches for how a task uses graphs best, with KerasTuner.

    python -m recipes.tuning.search --task imdb --space mixture \
        --tuner bayesian --max-trials 20 --data-dir imdb \
        --vectors wiki_imdb.100d.txt --out runs/search

`--space mixture`: the placement of the graphs, free or conditioned mixture
weights, the number of mixtures, products, the graph layers, the gate's width.
`--space context`: the predictor's context length, the learning rate, dropout;
the predictors are given as `--predictors 1 FOLDER 3 FOLDER`. `all`: both. What
is not searched has the value of the task's recipe, or of an option here.

OUT holds trials.csv, figures/trials.png, metrics.json, and in best-N the run
of the best trial's values trained again: best.keras, its predictions on the
test set and metrics. OUT/trials is KerasTuner's. Killed at any moment, the
same command goes on with the trials there are; one that was running starts
again. A larger `--max-trials` adds to a finished search. A search in which all
trials fail ends with exit status 1.

docs/tuning.md has searches on several machines, times and hardware.
"""

import dataclasses
import importlib
import pathlib
from typing import Literal

import keras
import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras import tuning
from glomo_keras.tuning.trials import is_worker
from recipes.common import check_data
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.tasks import run
from recipes.tasks.options import DataOptions
from recipes.tasks.options import FeatureOptions

RESULTS = ("trials", "trials.csv", "best-*")
HARMLESS = ("out", "max_trials", "overwrite")


@dataclasses.dataclass(kw_only=True)
class Options(DataOptions, FeatureOptions):
    """Searches for how a task uses graphs. None: as in the task's recipe."""

    task: Literal["imdb", "mnli"]
    out: pathlib.Path
    """Folder of the search."""
    space: Literal["mixture", "context", "all"] = "mixture"
    tuner: Literal["random", "bayesian", "hyperband", "grid"] = "random"
    max_trials: int = 20
    seed: int = 0
    """Of the search and of every trial."""
    predictor: str = "glomo_small_en"
    """Of the space mixture: a preset's name or folder."""
    predictors: dict[int, str] = dataclasses.field(default_factory=dict)
    """Of the other spaces: context lengths and their presets."""
    overwrite: bool = False
    """Empty a folder that holds a search with other options."""

    hidden_dim: int | None = None
    max_length: int | None = None
    learning_rate: float | None = None
    """The middle of those tried where it is searched."""
    epochs: int | None = None
    """Of each trial; of Hyperband's longest."""
    steps_per_epoch: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: Literal["auto", "true", "false"] = "auto"
    """Whether XLA compiles the training step."""


class Trials:
    """Builds and trains the models of the trials.

    Args:
        options: `Options`.
        recipe: The task's module.
    """

    def __init__(self, options, recipe):
        self.options = options
        self.recipe = recipe
        self._loaded = {}

    def task_options(self, values):
        """Returns the options of the task's recipe for a trial's values."""
        given = {"predictor": self.options.predictor, **values}
        for name, option in (
            ("include_products", "products"),
            ("units", "graph_units"),
        ):
            if name in given:
                given[option] = given.pop(name)
        if "context_length" in given:
            length = given.pop("context_length")
            given["predictor"] = self.options.predictors[length]
        given = {**vars(self.options), "graph": "predicted", **given}
        names = {x.name for x in dataclasses.fields(self.recipe.Options)}
        return self.recipe.Options(
            **{
                name: value
                for name, value in given.items()
                if name in names and value is not None
            }
        )

    def load(self, task):
        """Returns the task's data, read once for each vocabulary."""
        tokenizer = data.WordTokenizer.from_preset(task.predictor)
        key = tuple(tokenizer.vocabulary), str(tokenizer.get_config())
        if key not in self._loaded:
            self._loaded[key] = self.recipe.load(task)
        return self._loaded[key]

    def build(self, values):
        task = self.task_options(values)
        return self.recipe.build(task, self.load(task), self.options.seed)

    def fit(self, values, model, *, epochs, initial_epoch=0, callbacks, **kw):
        """Trains as `fit` does; an epoch has the same batches in each trial."""
        task = self.task_options(values)
        loaded = self.load(task)
        batches = data.BucketedBatches(
            loaded.train, task.batch_size, self.options.seed
        )
        steps = task.steps_per_epoch or batches.steps_per_epoch
        stop = keras.callbacks.EarlyStopping(
            self.recipe.MONITOR, mode="max", patience=task.patience
        )
        return model.fit(
            data.as_dataset(batches, initial_epoch * steps),
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps,
            validation_data=data.as_dataset(
                data.EvaluationBatches(loaded.validation, task.batch_size)
            ),
            callbacks=[
                *self.recipe.callbacks(task),
                keras.callbacks.TerminateOnNaN(),
                stop,
                *callbacks,
            ],
            shuffle=False,  # the batches have their order; `fit` would warn
            **kw,
        )


def main(options):
    """Runs the recipe; returns the metrics, None for a worker."""
    recipe = importlib.import_module(f"recipes.tasks.{options.task}")
    check(options, recipe)
    keras.config.set_dtype_policy(options.precision)
    trials = Trials(options, recipe)
    if is_worker():  # the chief writes the results of all
        facts = describe(options, trials)
        tuner = build(options, trials)
        tuner.oracle.get_space()  # waits for the chief, which wrote its data
        check_data(facts, options.out)
        search(tuner)
        return None
    folder = training.RunFolder(options.out, RESULTS)
    with folder.start(options, HARMLESS, options.overwrite):
        if finished(options, folder):
            print(f"Finished before: {folder.metrics_path}")
            return folder.read_metrics()
        folder.check_data(describe(options, trials))
        tuner = build(options, trials)
        search(tuner)
        return report(options, trials, tuner, folder)


def check(options, recipe):
    """Refuses options out of their range, before any work."""
    lengths = sorted(options.predictors)
    check_positive(options, "max_trials")
    check_not_negative(options, "seed")
    if (options.space != "mixture") != bool(lengths) or min(lengths or [1]) < 1:
        raise ValueError(
            "--space context and all try the predictors of context lengths "
            "from 1: --predictors 1 FOLDER 3 FOLDER; --space mixture that of "
            f"--predictor. Received: space={options.space!r}, "
            f"predictors={options.predictors}"
        )
    trials = Trials(options, recipe)
    for length in lengths or [None]:
        values = {} if length is None else {"context_length": length}
        recipe.check(trials.task_options(values))


def finished(options, folder):
    """Returns whether a search of as many trials has ended in the folder."""
    if not folder.finished:
        return False
    return folder.read_metrics()["max_trials"] >= options.max_trials


def describe(options, trials):
    """Returns checksums of the data and the predictors, by predictor."""
    lengths = [{"context_length": x} for x in sorted(options.predictors)]
    tasks = [trials.task_options(values) for values in lengths or [{}]]
    return {
        task.predictor: run.describe(task, trials.load(task)) for task in tasks
    }


def build(options, trials):
    """Makes the tuner, with the trials that are there."""
    presets = options.predictors.values() or [options.predictor]
    layers = {
        preset: gk.GraphPredictor.from_preset(preset).num_graph_layers
        for preset in presets
    }
    if options.space == "all" and len(set(layers.values())) > 1:
        raise ValueError(
            "Predictors that are searched together have the same number of "
            f"graph layers. Received: num_graph_layers={layers}"
        )
    task = trials.task_options({})
    hypermodel = tuning.GraphHyperModel(
        trials.build,
        trials.fit,
        options.space,
        num_graph_layers=min(layers.values()),
        context_lengths=sorted(options.predictors),
        learning_rate=task.learning_rate,
    )
    return tuning.make_tuner(
        options.tuner,
        hypermodel,
        objective=(trials.recipe.MONITOR, "max"),
        max_trials=options.max_trials,
        max_epochs=task.epochs,
        directory=options.out,
        seed=options.seed,
    )


def search(tuner):
    """Runs trials until none is left."""
    tuner.search(verbose=2)


def report(options, trials, tuner, folder):
    """Prints and writes the trials, trains the best again and tests it."""
    table = tuning.trial_table(tuner)
    with training.atomic_file(folder.path / "trials.csv") as file:
        table.to_csv(file, index=False)
    shown = table.drop(columns="error").astype(object)
    shown = shown.where(shown.notna(), "-")
    print(tabulate.tabulate(shown, headers="keys", showindex=False))
    for _, failed in table.dropna(subset="error").iterrows():
        print(f"trial {failed['trial']} failed: {failed['error']}")
    monitor = trials.recipe.MONITOR
    title = f"{options.task}, {options.space}: {len(table)} trials"
    tuning.plot_trials(table, monitor, title, folder.figures_dir / "trials.png")
    completed = int((table["status"] == "COMPLETED").sum())
    if not completed:
        raise SystemExit("No trial completed.")
    metrics = {
        "max_trials": options.max_trials,
        "trials": len(table),
        "completed": completed,
        "failed": int((table["status"] == "FAILED").sum()),
        "objective": monitor,
        "best_trial": table["trial"][0],
        "best_score": float(table["score"][0]),
        **train_best(options, trials, tuner),
    }
    folder.write_metrics(metrics)
    return metrics


def train_best(options, trials, tuner):
    """Trains a model with the best trial's values; returns its metrics."""
    trial = tuner.oracle.get_best_trials(1)[0]
    values = tuner.hypermodel.values(trial.hyperparameters)
    task = trials.task_options(values)
    folder = training.RunFolder(
        options.out / f"best-{trial.trial_id}",
        ("best.keras", "best.weights.h5", "predictions*.csv"),
    )
    with folder.start(task, HARMLESS, overwrite=True):
        if not folder.finished:
            loaded = trials.load(task)
            model = trials.build(values)
            metrics = run.fit(
                task,
                loaded,
                model,
                options.seed,
                folder,
                trials.recipe.callbacks(task),
                trials.recipe.MONITOR,
            )
            metrics |= trials.recipe.evaluate(task, loaded, model, folder)
            model.save(folder.path / "best.keras")
            folder.write_metrics({"values": values, **metrics})
        return folder.read_metrics()


if __name__ == "__main__":
    main(tyro.cli(Options))
