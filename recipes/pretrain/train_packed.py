"""`recipes.pretrain.text` on a GPU that is lent for minutes at a time.

    export KERAS_BACKEND=jax
    python -m recipes.pretrain.train_packed --corpus loan/wiki.tar.bz2 --out runs/gpu \
        --config base --batch-size 128 --precision mixed_bfloat16 --minutes 8

Takes every option of `recipes.pretrain.text` and makes the same steps. It ends
with an epoch before the minutes are over, with a checkpoint and, even if the
training is not finished, `OUT/preset` of the last epoch; the same
command goes on. `OUT/speed.csv` has for each epoch the seconds of its training
steps, tokens per second and the peak of the device's memory.

Compiled training steps are kept in `--compiled`, so that the next command on
the same machine need not compile them again.
"""

import dataclasses
import os
import pathlib
import time

import keras
import tyro

from glomo_keras import data
from glomo_keras import training
from recipes.pretrain import text as pretrain_text

STARTED = time.monotonic()


@dataclasses.dataclass
class Options(pretrain_text.Options):
    """Pretrains on a GPU. None stands for `config`'s value."""

    minutes: float = 8.0
    """When to have ended, counted from the start of the process."""
    reserve: float = 30.0
    """Seconds of it kept for saving presets."""
    steps_per_execution: int = 10
    """Steps between two looks at the loss; divides steps_per_epoch."""
    compiled: pathlib.Path = pathlib.Path("~/.cache/glomo_keras/compiled")
    """Where compiled training steps are kept."""
    allow_cpu: bool = False
    """Train though JAX sees no GPU."""


HARMLESS = [
    "out",
    "cache",
    "minutes",
    "reserve",
    "steps_per_execution",
    "compiled",
    "allow_cpu",
]


class TimeIsUp(Exception):
    """Ends `fit` where the checkpoint of the last epoch is written."""


class EndInTime(keras.callbacks.Callback):
    """Ends the training before an epoch that would not end in time.

    Args:
        deadline: float, of `time.monotonic`.
    """

    def __init__(self, deadline):
        super().__init__()
        self.deadline = deadline
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


class Speed(keras.callbacks.Callback):
    """Writes tokens per second and peak memory of each epoch to a CSV file.

    Args:
        path: `pathlib.Path`.
        sampler: `FewLengths`, as in the training.
        steps_per_epoch: int.
    """

    resume_attributes = ("rows",)

    def __init__(self, path, sampler, steps_per_epoch):
        super().__init__()
        self.path = path
        self.sampler = sampler
        self.steps_per_epoch = steps_per_epoch
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.monotonic()

    def on_test_begin(self, logs=None):
        # `fit` has just read the metrics: all steps are done.
        self._seconds = time.monotonic() - self._begun

    def on_epoch_end(self, epoch, logs=None):
        first = epoch * self.steps_per_epoch
        words = self.sampler.num_words(
            range(first, first + self.steps_per_epoch)
        )
        row = {
            "epoch": epoch,
            "seconds": round(self._seconds, 2),
            "tokens_per_second": round(words / self._seconds),
            "peak_gib": peak_gib(),
        }
        self.rows.append(row)
        training.write_history(self.path, self.rows)
        print(f"\n{row}")


def peak_gib():
    """The peak of the device's memory in GiB; None where JAX cannot tell."""
    import jax

    statistics = jax.local_devices()[0].memory_stats()
    if not statistics or "peak_bytes_in_use" not in statistics:
        return None
    return round(statistics["peak_bytes_in_use"] / 2**30, 2)


def train(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        Boolean, whether the training is finished.

    Raises:
        RuntimeError: if the backend is not JAX, or JAX sees no GPU.
        ValueError: if `steps_per_execution` does not divide the epoch.
    """
    options = pretrain_text.resolve(options)
    check(options)
    keep_compiled(options.compiled.expanduser())
    try:
        pretrain_text.pretrain(options, HARMLESS, fit_in_time)
    except TimeIsUp:
        return False
    return True


def fit_in_time(options, corpus, pretrainer, folder):
    """`pretrain_text.fit`, which saves what there is when time is up."""
    pretrainer.steps_per_execution = options.steps_per_execution
    callbacks = make_callbacks(options, corpus, folder)
    try:
        return pretrain_text.fit(options, corpus, pretrainer, folder, callbacks)
    except TimeIsUp:
        save_unfinished(pretrainer, folder)
        raise


def check(options):
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            "Set KERAS_BACKEND=jax before the start. "
            f"Received: backend={keras.backend.backend()}"
        )
    import jax

    if jax.default_backend() != "gpu" and not options.allow_cpu:
        raise RuntimeError(
            "JAX sees no GPU (`nvidia-smi` shows whether there is one); "
            f"--allow-cpu trains all the same. Received: {jax.devices()}"
        )
    if options.steps_per_epoch % options.steps_per_execution:
        raise ValueError(
            "`steps_per_execution` divides `steps_per_epoch`. Received: "
            f"steps_per_execution={options.steps_per_execution}, "
            f"steps_per_epoch={options.steps_per_epoch}"
        )


def keep_compiled(folder):
    """Keeps what XLA compiles in a folder, for the next process."""
    import jax

    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def make_callbacks(options, corpus, folder):
    sampler = data.FewLengths(
        corpus.train, options.batch_size, options.max_length, options.seed
    )
    deadline = STARTED + 60 * options.minutes - options.reserve
    return [
        Speed(folder.path / "speed.csv", sampler, options.steps_per_epoch),
        EndInTime(deadline),
    ]


def save_unfinished(pretrainer, folder):
    """Writes the preset of the weights as they are."""
    pretrainer.graph_predictor.save_to_preset(folder.path / "preset")
    epochs = len(training.read_history(folder.history_path))
    print(
        f"Time is up after {epochs} epochs; the same command goes on. "
        f"Preset: {folder.path}/preset"
    )


if __name__ == "__main__":
    train(tyro.cli(Options))
