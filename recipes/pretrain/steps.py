"""The steps that pretraining on text and on images have in common."""

import dataclasses
import time

import keras

from glomo_keras import training
from recipes.common import JIT_COMPILE
from recipes.common import check_above_zero
from recipes.common import check_positive

RESULTS = ("preset", "pretrainer", "evaluation.json")


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(options, "epochs", "steps_per_epoch", "batch_size")
    check_above_zero(options, "learning_rate")


def start(options, harmless):
    """Takes the run folder of a pretraining, and sets seed and precision.

    Args:
        options: dataclass, complete.
        harmless: names of options that may differ in a run that goes on.

    Returns:
        `RunFolder`, for `with`.
    """
    settings = dataclasses.asdict(options)
    del settings["overwrite"]
    folder = training.RunFolder(options.out, RESULTS)
    folder.start(settings, harmless, options.overwrite)
    if folder.finished:
        print(f"Finished before: {folder.metrics_path}")
    else:
        keras.utils.set_random_seed(options.seed)
        keras.config.set_dtype_policy(options.precision)
    return folder


def compile_pretrainer(options, pretrainer, optimizer):
    """Compiles a pretrainer, prints its size and returns it."""
    pretrainer.compile(
        optimizer=optimizer,
        jit_compile=JIT_COMPILE[options.jit_compile],
        steps_per_execution=options.steps_per_execution,
    )
    print(
        f"{pretrainer.count_params():,} parameters, "
        f"{pretrainer.graph_predictor.count_params():,} of them in the graph "
        f"predictor; XLA: {pretrainer.jit_compile}"
    )
    return pretrainer


def adam(options):
    """Returns Adam with warm-up and cosine decay over all steps."""
    steps = options.epochs * options.steps_per_epoch
    warmup = min(steps // 20, 2000)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=options.learning_rate / 100,
        decay_steps=steps - warmup,
        alpha=0.01,
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def save(options, pretrainer, history, folder):
    """Saves predictor and pretrainer, and returns the best epoch's metrics.

    Raises:
        RuntimeError: if the loss stopped being finite.
    """
    training.check_finite(history)
    pretrainer.graph_predictor.save_to_preset(folder.path / "preset")
    pretrainer.save_to_preset(folder.path / "pretrainer")
    losses = history.history["val_loss"]
    best = losses.index(min(losses))
    print(
        f"Epoch {best + 1} of {len(history.epoch)}. "
        f"Preset: {folder.path / 'preset'}"
    )
    return {
        "epochs": len(history.epoch),
        "best_epoch": best,
        "steps": len(history.epoch) * options.steps_per_epoch,
        **{name: values[best] for name, values in history.history.items()},
    }


class TimeIsUp(Exception):
    """Ends `fit` after an epoch whose checkpoint has been written."""


class TimeLimit(keras.callbacks.Callback):
    """Ends the training before an epoch that would not end in time.

    One epoch is made in any case.

    Args:
        minutes: float, from the time this object is made.
    """

    def __init__(self, minutes):
        super().__init__()
        self.deadline = time.monotonic() + 60 * minutes
        self.durations = []

    def on_epoch_begin(self, epoch, logs=None):
        now = time.monotonic()
        # The first epoch compiles; it says nothing about the others.
        expected = max(self.durations[1:] or self.durations or [0.0])
        if self.durations and now + expected > self.deadline:
            raise TimeIsUp
        self._begun = now

    def on_epoch_end(self, epoch, logs=None):
        self.durations.append(time.monotonic() - self._begun)


def save_unfinished(pretrainer, folder):
    """Saves the predictor as it is when time is up."""
    pretrainer.graph_predictor.save_to_preset(folder.path / "preset")
    epochs = len(training.read_history(folder.history_path))
    print(
        f"Time is up after {epochs} epochs; the same command goes on. "
        f"Preset: {folder.path}/preset"
    )
