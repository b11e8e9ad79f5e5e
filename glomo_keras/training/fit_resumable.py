"""Runs `model.fit` so that a kill does not change the result."""

import importlib.util

import keras

from glomo_keras.training.fit_parts import fit_parts
from glomo_keras.training.history import EpochTimes
from glomo_keras.training.process_job import check_same
from glomo_keras.training.process_job import current_job
from glomo_keras.training.resume_training import ResumeTraining


def fit_resumable(
    model,
    make_dataset,
    *,
    epochs,
    steps_per_epoch,
    run_folder,
    callbacks=(),
    validation_data=None,
    validation_steps=None,
    verbose="auto",
):
    """Trains a model, and resumes where the run in the folder stopped.

    A run killed at any moment and started again makes the same steps as one
    that was not: an epoch is the unit that is redone, so epochs are short.
    When the training is over (all epochs done, or stopped by a callback) no
    step is made, and the model gets its final weights.

    Args:
        model: A built and compiled Keras model. Its random draws come from
            seed generators of its layers.
        make_dataset: Function of the number of the first step (over the
            whole run, from 0) that returns an endless dataset of batches
            starting there. A batch depends on nothing but its step.
        epochs: Integer, how many epochs there are in the whole run.
        steps_per_epoch: Integer.
        run_folder: A `RunFolder` that was started.
        callbacks: Keras callbacks; see `callback_states` for those whose
            memory is kept. TensorBoard is added where it is installed.
            Defaults to none.
        validation_data, validation_steps, verbose: As in `fit`, with the same
            defaults.

    Returns:
        A `keras.callbacks.History` with all epochs of the run.

    Raises:
        ValueError: If the run began with other `steps_per_epoch`, or another
            model or optimizer.
    """
    job = current_job()
    first = job.index == 0
    callbacks = [
        EpochTimes(run_folder.timing_path if first else None),
        *callbacks,
        *(_tensorboard(run_folder, callbacks, verbose) if first else []),
    ]
    resume = ResumeTraining(
        run_folder.checkpoint_dir,
        callbacks,
        run_folder.history_path,
        write=first,
    )
    start = resume.restore(model)
    check_same({"number of epochs done": start})
    if resume.steps_per_epoch not in (None, steps_per_epoch):
        raise ValueError(
            "A run goes on with the `steps_per_epoch` that it began with, "
            f"{resume.steps_per_epoch}: other steps would repeat or skip "
            f"batches. Received: steps_per_epoch={steps_per_epoch}"
        )
    with fit_parts(model):
        history = model.fit(
            make_dataset(start * steps_per_epoch),
            initial_epoch=start,
            # No epoch is left: `fit` only lets the callbacks end the training.
            epochs=start if resume.stopped else epochs,
            steps_per_epoch=steps_per_epoch,
            validation_data=validation_data,
            validation_steps=validation_steps,
            callbacks=[*callbacks, resume],
            verbose=verbose if first else 0,
            shuffle=False,  # the dataset has its order; `fit` would warn
        )
    return _with_all_epochs(history, resume.rows)


def _tensorboard(run_folder, callbacks, verbose):
    if any(isinstance(c, keras.callbacks.TensorBoard) for c in callbacks):
        return []
    missing = [
        name
        for name in ("tensorboard", "tensorflow")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        if verbose:
            print(f"No TensorBoard logs: {' and '.join(missing)} missing.")
        return []
    return [
        keras.callbacks.TensorBoard(
            run_folder.tensorboard_dir, write_graph=False
        )
    ]


def _with_all_epochs(history, rows):
    history.epoch = [row["epoch"] for row in rows]
    history.history = {}
    for row in rows:
        for name, value in row.items():
            if name != "epoch":
                history.history.setdefault(name, []).append(value)
    return history
