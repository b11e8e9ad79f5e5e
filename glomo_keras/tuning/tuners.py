import functools
import json
import pathlib
import shutil

import keras_tuner
import numpy as np

from glomo_keras.tuning.trials import is_worker
from glomo_keras.utils import files
from glomo_keras.utils.validation import check_option


class _BayesianOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Draws a trial's start points by its number.

    KerasTuner draws them from one generator that a new process starts again,
    so that a search that was stopped would go on with other trials.
    """

    def populate_space(self, trial_id):
        self._random_state = np.random.RandomState(
            [self.seed, len(self.trials)]
        )
        # A new process reads them in the order of the file system.
        self.trials = dict(sorted(self.trials.items()))
        return super().populate_space(trial_id)


class _BayesianOptimization(keras_tuner.Tuner):
    """Searches with a `_BayesianOracle`."""

    def __init__(self, hypermodel, directory, project_name, **options):
        super().__init__(
            _BayesianOracle(**options),
            hypermodel,
            directory=directory,
            project_name=project_name,
        )


TUNERS = {
    "random": keras_tuner.RandomSearch,
    "bayesian": _BayesianOptimization,
    "hyperband": keras_tuner.Hyperband,
    "grid": keras_tuner.GridSearch,
}
SEARCH = "search.json"


def make_tuner(
    kind,
    hypermodel,
    *,
    objective,
    max_trials,
    max_epochs,
    directory,
    project_name="trials",
    seed=None,
):
    """Makes a tuner that resumes from the trials in its folder.

    A trial that was running when its process was killed is run again from
    its start; a grid search that was stopped cannot go on. All trials are run
    however many of them fail. A folder with the trials of another search is
    refused: their scores say nothing about this one.

    KerasTuner's environment variables KERASTUNER_TUNER_ID,
    KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT make it a chief or a
    worker, see its guide "Distributed hyperparameter tuning".

    Args:
        kind: `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`.
        hypermodel: `GraphHyperModel`, or a `keras_tuner.HyperModel` that
            declares its space in `declare_hyperparameters`.
        objective: Pair of name and direction, as `("val_accuracy", "max")`.
        max_trials: Number of trials. Hyperband's brackets follow from
            `max_epochs`; it stops at this number if they are not through.
        max_epochs: Epochs of each trial, of Hyperband's longest.
            `search(epochs=...)` overrides it, except for Hyperband.
        directory: Path that chief and workers share.
        project_name: The folder in it. Defaults to `"trials"`.
        seed: Integer, at least 0, seed of the choices. Defaults to `None`, a
            random one.

    Returns:
        `keras_tuner.Tuner`.

    Raises:
        ValueError: If the kind is unknown, a number out of range, or the
            folder holds another search.
    """
    check_option("kind", kind, TUNERS)
    if min(max_trials, max_epochs) < 1:
        raise ValueError(
            "`max_trials` and `max_epochs` are at least 1. Received: "
            f"max_trials={max_trials}, max_epochs={max_epochs}"
        )
    if seed is not None and seed < 0:
        raise ValueError(f"`seed` is at least 0. Received: seed={seed}")
    options = {"max_trials": max_trials}
    if kind == "hyperband":
        options = {"max_epochs": max_epochs}  # gives each trial its epochs
    elif kind == "bayesian":
        # KerasTuner's default, three points per hyperparameter, would make a
        # short search a random one.
        options["num_initial_points"] = max(2, max_trials // 3)
    folder = pathlib.Path(directory, project_name)
    search = _search(kind, hypermodel, objective, max_epochs)
    _check_same(folder, search)
    # A worker would remove what its chief is just writing.
    if not is_worker():
        _remove_unknown_trials(folder)
    tuner = TUNERS[kind](
        hypermodel=hypermodel,
        objective=keras_tuner.Objective(*objective),
        directory=str(directory),
        project_name=project_name,
        seed=None if seed is None else seed + 1,  # 0 would be a random one
        # Three failures in a row would end the search.
        max_consecutive_failed_trials=max_trials + 1,
        **options,
    )
    if isinstance(tuner.oracle, keras_tuner.Oracle):  # else a worker's
        tuner.oracle.max_trials = max_trials
        files.write_json(folder / SEARCH, search)
        tuner.save()  # else a kill in the first trial would lose it
    tuner.search = functools.partial(tuner.search, epochs=max_epochs)
    return tuner


def _remove_unknown_trials(folder):
    """Removes a trial that was saved, but not listed yet, at a kill.

    KerasTuner would count it and never run it.
    """
    if (folder / "oracle.json").exists():
        known = files.read_json(folder / "oracle.json")["start_order"]
        for trial in folder.glob("trial_*"):
            listed = trial.name.removeprefix("trial_") in known
            entry = files.read_json_or_none(trial / "trial.json") or {}
            if not listed and entry.get("status", "RUNNING") == "RUNNING":
                shutil.rmtree(trial)


def _search(kind, hypermodel, objective, max_epochs):
    """Returns facts that identify a search, as values of JSON."""
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    search = {
        "kind": kind,
        "objective": list(objective),
        "max_epochs": max_epochs,
        "space": hp.get_config()["space"],
    }
    return json.loads(json.dumps(search))


def _check_same(folder, search):
    there = {}
    if (folder / SEARCH).exists():
        there = files.read_json(folder / SEARCH)
        if there["max_epochs"] is None:  # of an earlier version
            there["max_epochs"] = search["max_epochs"]
    elif not (folder / "oracle.json").exists():
        return
    differing = [name for name in search if there.get(name) != search[name]]
    if differing:
        raise ValueError(
            "The folder holds a search with another "
            f"{', '.join(differing)}. Choose another folder or another "
            f"`project_name`. Received: {str(folder)!r}"
        )
