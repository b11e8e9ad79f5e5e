"""A run of 300 steps that can be killed: `python -m ... FOLDER MOMENT`.

MOMENT is `batch:N`, `saving:N` (half of checkpoint N is written) or
`saved:N` (checkpoint N is there, its line of history.csv is not).
"""

import contextlib
import io
import itertools
import os
import signal
import sys
from unittest import mock

import keras
import numpy as np

from glomo_keras.training import RunFolder
from glomo_keras.training import checkpoint_store
from glomo_keras.training import fit_resumable
from glomo_keras.training import resume_training

EPOCHS, STEPS = 30, 10
WIDTH = 4


def batches(first_step):
    """Endless batches, each drawn from (seed, step)."""
    for step in itertools.count(first_step):
        rng = np.random.default_rng((7, step))
        x = rng.normal(size=(8, WIDTH)).astype("float32")
        yield x, np.sin(3 * x.sum(axis=1, keepdims=True))


def build_model():
    """A compiled model with every kind of state."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((WIDTH,))
    x = keras.layers.Dense(8, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.3, seed=2)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    optimizer = keras.optimizers.Adam(0.02, use_ema=True)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def build_callbacks(patience=50):
    """Callbacks whose decisions depend on earlier epochs."""
    plateau = keras.callbacks.ReduceLROnPlateau(
        patience=2, cooldown=1, factor=0.7
    )
    stopping = keras.callbacks.EarlyStopping(
        patience=patience, restore_best_weights=True
    )
    return [plateau, stopping]


def train(folder, callbacks=(), patience=50, epochs=EPOCHS, steps=STEPS):
    """Trains in `folder`; returns the model and its history."""
    model = build_model()
    with RunFolder(folder).start({"patience": patience}) as run_folder:
        history = fit_resumable(
            model,
            batches,
            epochs=epochs,
            steps_per_epoch=steps,
            run_folder=run_folder,
            callbacks=[*build_callbacks(patience), *callbacks],
            validation_data=next(batches(10**6)),
            verbose=0,
        )
    return model, history


class AtBatch(keras.callbacks.Callback):
    """Calls `action` at one batch of this process, counted from 1."""

    def __init__(self, number, action):
        super().__init__()
        self.number = number
        self.action = action

    def on_train_batch_end(self, batch, logs=None):
        self.number -= 1
        if self.number == 0:
            self.action()


def kill_now(*args, **kwargs):
    """Ends this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def on_call(number, real, action):
    """A function that does `action` instead of `real` at one call."""
    calls = itertools.count(1)

    def wrapped(*args, **kwargs):
        return (action if next(calls) == number else real)(*args, **kwargs)

    return wrapped


def save_half(file, **arrays):
    """Writes half of an npz file, then kills the process."""
    whole = io.BytesIO()
    np.savez_compressed(whole, **arrays)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()
    kill_now()


def killing(kind, number):
    """Returns the patch and the callbacks that kill at a moment."""
    if kind == "batch":
        return contextlib.nullcontext(), [AtBatch(number, kill_now)]
    if kind == "saving":
        fake = on_call(number, np.savez, save_half)
        return mock.patch.object(checkpoint_store.np, "savez", fake), []
    fake = on_call(number, resume_training.write_history, kill_now)
    return mock.patch.object(resume_training, "write_history", fake), []


def assert_same_weights(model, other, message=""):
    """All variables of two models and their optimizers are equal."""
    pairs = zip(
        model.variables + model.optimizer.variables,
        other.variables + other.optimizer.variables,
        strict=True,
    )
    for one, two in pairs:
        one, two = (keras.ops.convert_to_numpy(v.value) for v in (one, two))
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6, err_msg=message)


def assert_same_csv(folder, other, message="", epochs=EPOCHS):
    """The two runs have the same `history.csv`, with `epochs` lines."""
    texts = [(f / "history.csv").read_text() for f in (folder, other)]
    assert texts[0] == texts[1], message
    assert len(texts[0].splitlines()) == 1 + epochs, message


def main(folder, moment):
    """Trains and is killed at `moment`."""
    kind, number = moment.split(":")
    patch, callbacks = killing(kind, int(number))
    with patch:
        train(folder, callbacks)


if __name__ == "__main__":
    main(*sys.argv[1:])
