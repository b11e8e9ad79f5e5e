"""KerasTuner's tuners by name, made to survive kills and to tell of errors."""

import json
import pathlib
import time

import keras_tuner

from glomo_keras.tuning.trial_rows import OUTCOME
from glomo_keras.utils.files import atomic_file

TUNERS = ("random", "bayesian", "hyperband", "grid")


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
    """A tuner that goes on with the trials it finds in its folder.

    A trial that was running when its process was killed is run again from
    its start. All trials are run however many of them fail. Beside each
    trial, `outcome.json` holds its time, its worker and, if it failed, the
    traceback, which KerasTuner does not send from a worker to the chief.

    The environment variables KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and
    KERASTUNER_ORACLE_PORT make it a chief or a worker, see KerasTuner's guide
    "Distributed hyperparameter tuning".

    Args:
        kind: `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`.
        hypermodel: `keras_tuner.HyperModel`.
        objective: `(name, direction)`, as `("val_accuracy", "max")`.
        max_trials: int. Hyperband's brackets follow from `max_epochs`; it
            stops at this number if they are not through.
        max_epochs: int, the epochs of a trial; of Hyperband's longest.
        directory: path that chief and workers share.
        project_name: string, the folder in it.
        seed: int.

    Returns:
        `keras_tuner.Tuner`.

    Raises:
        ValueError: an unknown kind, or a number below 1.
    """
    if kind not in TUNERS:
        raise ValueError(f"`kind` is one of {TUNERS}. Received: kind={kind!r}")
    if min(max_trials, max_epochs) < 1:
        raise ValueError(
            "`max_trials` and `max_epochs` are at least 1. Received: "
            f"max_trials={max_trials}, max_epochs={max_epochs}"
        )
    options = {
        "random": {"max_trials": max_trials},
        # KerasTuner's default, three per hyperparameter, would make a short
        # search a random one.
        "bayesian": {
            "max_trials": max_trials,
            "num_initial_points": max(2, max_trials // 3),
        },
        "grid": {"max_trials": max_trials},
        "hyperband": {"max_epochs": max_epochs},
    }[kind]
    tuner = _CLASSES[kind](
        hypermodel=hypermodel,
        objective=keras_tuner.Objective(*objective),
        directory=str(directory),
        project_name=project_name,
        seed=seed,
        # Three failures in a row would end the search.
        max_consecutive_failed_trials=max_trials + 1,
        **options,
    )
    _prepare(tuner, max_trials)
    return tuner


def _prepare(tuner, max_trials):
    oracle = tuner.oracle
    if not isinstance(oracle, keras_tuner.Oracle):
        return  # a worker's, which asks that of the chief
    oracle.max_trials = max_trials
    # KerasTuner empties a file before it writes it; a kill in between would
    # lose the search.
    oracle.save = lambda: _save(oracle, oracle._get_oracle_fname())
    oracle._save_trial = lambda trial: _save(
        trial, f"{oracle._get_trial_dir(trial.trial_id)}/trial.json"
    )
    _repeat_interrupted(oracle)
    tuner.save()


def _save(stateful, path):
    with atomic_file(path) as file:
        json.dump(stateful.get_state(), file)


def _repeat_interrupted(oracle):
    """Queues what ran when the process died, for whichever worker is free."""
    oracle.ongoing_trials = {}
    oracle._retry_queue = [
        name
        for name, trial in sorted(oracle.trials.items(), reverse=True)
        if trial.status == "RUNNING" or name in oracle._retry_queue
    ]


class _Recorded:
    """Writes how each trial ended beside it."""

    def on_trial_begin(self, trial):
        self._began = time.monotonic()
        super().on_trial_begin(trial)

    def on_trial_end(self, trial):
        outcome = {
            "worker": self.tuner_id,
            "seconds": round(time.monotonic() - self._began),
            "error": trial.message,
        }
        path = pathlib.Path(self.get_trial_dir(trial.trial_id)) / OUTCOME
        with atomic_file(path) as file:
            json.dump(outcome, file, indent=2)
        super().on_trial_end(trial)


class _Random(_Recorded, keras_tuner.RandomSearch):
    pass


class _Bayesian(_Recorded, keras_tuner.BayesianOptimization):
    pass


class _Hyperband(_Recorded, keras_tuner.Hyperband):
    pass


class _Grid(_Recorded, keras_tuner.GridSearch):
    pass


_CLASSES = dict(
    zip(TUNERS, (_Random, _Bayesian, _Hyperband, _Grid), strict=True)
)
