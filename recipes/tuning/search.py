"""Searches for how a task uses graphs best, with KerasTuner.

    python -m recipes.tuning.search --task imdb --space mixture --tuner bayesian \\
        --max-trials 20 --data-dir imdb --vectors wiki_imdb.100d.txt \\
        --out runs/search

`--space mixture`: the place of the graphs, free or conditioned mixture
weights, the number of mixtures, products, the graph layers, the gate's width.
`--space context`: the predictor's context length, the learning rate, dropout;
the predictors are given (`--predictors 1 FOLDER 3 FOLDER`) or pretrained once
on `--corpus` and kept in `--predictor-cache`. `all`: both. What is not
searched has the value of the task's recipe, or that of the options here.

OUT holds trials.csv, figures/trials.png, the best model as best.keras with
its predictions on the test set, and metrics.json; OUT/trials is KerasTuner's.
Killed at any moment, the same command goes on with the trials there are: one
that was running starts again. A larger `--max-trials` adds to a finished
search. A search in which all trials fail ends with exit status 1.

Several processes share a search by KerasTuner's own variables: the same
command everywhere, OUT on a disk all of them see, and

    KERASTUNER_ORACLE_IP=10.0.0.1 KERASTUNER_ORACLE_PORT=8000 \\
        KERASTUNER_TUNER_ID=chief     # one; tuner0, tuner1, ... the others

The chief trains nothing and writes the results. It gives up after
`--chief-minutes` without a word from any worker, writes what there is and
exits with status 1; started again, it goes on.

docs/tuning.md has searches with their times and hardware.
"""

import importlib
import json
import os

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import training
from glomo_keras import tuning
from recipes.tuning import chief
from recipes.tuning import predictors as predictors_lib
from recipes.tuning.options import HARMLESS
from recipes.tuning.options import Options
from recipes.tuning.options import check
from recipes.tuning.options import project_name
from recipes.tuning.options import settings
from recipes.tuning.options import task_options
from recipes.tuning.trials import Trials

RESULTS = ("trials-*", "trials.csv", "best.keras", "predictions.csv")
SILENCE = (
    "No worker was heard of for {:g} minutes (--chief-minutes). Started again "
    "with its workers, the search goes on."
)


def main(options):
    """Runs the recipe; returns the metrics, None for a worker."""
    recipe = importlib.import_module(f"recipes.{options.task}")
    check(options, recipe)
    if chief.is_worker():
        return work(options, recipe)
    folder = training.RunFolder(options.out, RESULTS)
    with folder.start(settings(options), HARMLESS, options.overwrite):
        if finished(options):
            print(f"Finished before: {folder.metrics_path}")
            return folder.read_metrics()
        trials, tuner = prepare(options, recipe)
        complete = True
        if chief.is_chief():
            complete = chief.serve(tuner, options.chief_minutes)
        else:
            search(tuner, trials)
        return report(options, trials, tuner, folder, complete)


def finished(options):
    """Whether the search in the folder has as many trials as are asked for."""
    path = options.out / "metrics.json"
    if not path.exists():
        return False
    metrics = json.loads(path.read_text(encoding="utf-8"))
    return metrics["exhausted"] or metrics["trials"] >= options.max_trials


def work(options, recipe):
    if finished(options):
        print(f"Finished before: {options.out / 'metrics.json'}")
        return
    trials, tuner = prepare(options, recipe)
    search(tuner, trials)
    print(f"{tuner.tuner_id}: no trial is left; the chief has the results.")


def prepare(options, recipe):
    """`(Trials, tuner)`, with all predictors pretrained."""
    predictors = {None: options.predictor}
    if options.space != "mixture":
        predictors = predictors_lib.prepare(options)
    keras.config.set_dtype_policy(options.precision)
    trials = Trials(options, recipe, predictors)
    layers = num_graph_layers(predictors)
    if options.space == "all" and len(set(layers.values())) > 1:
        raise ValueError(
            "Predictors that are searched together have the same number of "
            f"graph layers. Received: num_graph_layers={layers}"
        )
    base = task_options(recipe, options)
    hypermodel = tuning.GraphHyperModel(
        trials.make_model,
        trials.train,
        options.space,
        num_graph_layers=min(layers.values()),
        context_lengths=options.context_lengths,
        learning_rate=base.learning_rate,
    )
    tuner = tuning.make_tuner(
        options.tuner,
        hypermodel,
        objective=(recipe.TASK.monitor, recipe.TASK.monitor_mode),
        max_trials=options.max_trials,
        max_epochs=base.epochs,
        directory=options.out,
        project_name=project_name(options),
        seed=options.seed,
    )
    return trials, tuner


def num_graph_layers(predictors):
    return {
        length: gk.GraphPredictor.from_preset(preset).num_graph_layers
        for length, preset in predictors.items()
    }


def search(tuner, trials):
    """Runs trials until none is left."""
    epochs = task_options(trials.recipe, trials.options).epochs
    tuner.search(epochs=epochs, verbose=2)


def report(options, trials, tuner, folder, complete):
    """Prints and writes what the search found."""
    silence = "" if complete else SILENCE.format(options.chief_minutes)
    rows = tuning.trial_rows(tuner)
    if not rows:
        raise SystemExit(silence)
    tuning.write_rows(rows, folder.path / "trials.csv")
    print(tuning.format_rows(rows))
    count = {
        name: sum(row["status"] == name.upper() for row in rows)
        for name in ("completed", "failed")
    }
    draw(options, rows, tuner, folder)
    print(
        f"{len(rows)} trials: {count['completed']} completed, "
        f"{count['failed']} failed. {folder.path / 'trials.csv'}"
    )
    if not count["completed"]:
        errors = {row["error"] for row in rows if row["error"]}
        raise SystemExit(
            "\n".join(["No trial completed.", *sorted(errors), silence])
        )
    metrics = {
        "trials": len(rows),
        **count,
        "exhausted": len(rows) < options.max_trials,
        "objective": tuner.oracle.objective.name,
        **save_best(trials, tuner, folder),
    }
    if silence:
        raise SystemExit(silence)
    folder.write_metrics(metrics)
    return folder.read_metrics()


def draw(options, rows, tuner, folder):
    names = [hp.name for hp in tuner.oracle.get_space().space]
    tuning.plot_parallel_coordinates(
        rows,
        [name for name in names if not name.startswith("tuner/")],
        tuner.oracle.objective.name,
        f"{options.task}, {options.space}: {len(rows)} trials, {options.tuner}",
        folder.figures_dir / "trials.png",
    )


def save_best(trials, tuner, folder):
    """Writes the best trial's model as `best.keras`, reads it and tests it."""
    trial = tuner.oracle.get_best_trials(1)[0]
    values = tuner.hypermodel.values(trial.hyperparameters)
    options = trials.task_options(values)
    model = trials.make_model(values)
    # Else its state in the checkpoint has no place, which warns.
    model.optimizer.build(model.trainable_variables)
    model.load_weights(tuner._get_checkpoint_fname(trial.trial_id))
    path = folder.path / "best.keras"
    temporary = path.with_name("best.tmp.keras")
    model.save(temporary)
    os.replace(temporary, path)
    read = keras.saving.load_model(path)
    loaded = trials.loaded(options)
    inputs, _ = loaded.validation.take(range(min(8, len(loaded.validation))))
    for name, expected in model.predict_on_batch(inputs).items():
        np.testing.assert_allclose(
            read.predict_on_batch(inputs)[name], expected, atol=1e-4
        )
    metrics = {
        "best_trial": trial.trial_id,
        "best_score": trial.score,
        "best_values": values,
        **loaded.facts,
        **trials.recipe.TASK.evaluate(options, read, loaded, folder),
    }
    print(f"Best trial {trial.trial_id}: {trial.score:.4f}. {path}")
    for name, value in metrics.items():
        if isinstance(value, float):
            print(f"  {name}: {value:.4f}")
    return metrics


if __name__ == "__main__":
    main(tyro.cli(Options))
