"""The log of the epochs of a run: history.csv and timing.csv."""

import csv
import time

import keras
import numpy as np

from glomo_keras.utils.files import write_csv


def write_history(path, rows):
    """Writes one line per epoch.

    Args:
        path: The CSV file; it is replaced whole.
        rows: List of dicts of column names to numbers; a row may lack some.
    """
    write_csv(path, rows)


def read_history(path):
    """Reads what `write_history` wrote, as dicts of floats."""
    with open(path, encoding="utf-8", newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def check_finite(history):
    """Refuses a training whose loss, or that of validation, is not finite.

    Its weights are of no use, though metrics such as the accuracy, and so the
    best epoch, can still look like numbers.

    Args:
        history: `keras.callbacks.History` of the whole run.

    Raises:
        RuntimeError: If a loss of an epoch is not finite.
    """
    for name in ("loss", "val_loss"):
        for number, loss in enumerate(history.history.get(name, ()), 1):
            if not np.isfinite(loss):
                raise RuntimeError(
                    f"The training diverged in epoch {number}: its loss is "
                    "not finite. Train in another folder, or overwrite this "
                    "one, with a lower learning rate. "
                    f"Received: {name}={loss}"
                )


class EpochTimes(keras.callbacks.Callback):
    """Writes a CSV of the seconds of each epoch, validation included.

    They are not part of history.csv, which is the same for a run that was
    killed and one that was not. An epoch that is redone counts once.

    Args:
        path: The CSV file: `epoch`, `seconds` by the clock, `cpu_seconds` of
            all threads. None writes none.
    """

    resume_attributes = ("rows",)

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append(
            {
                "epoch": epoch,
                "seconds": round(time.monotonic() - self._start[0], 3),
                "cpu_seconds": round(time.process_time() - self._start[1], 3),
            }
        )
        if self.path is not None:
            write_history(self.path, self.rows)
