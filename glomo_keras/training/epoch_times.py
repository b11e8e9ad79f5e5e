"""How long the epochs of a run took."""

import time

import keras

from glomo_keras.training.history_csv import write_history


class EpochTimes(keras.callbacks.Callback):
    """Writes a CSV of the seconds of each epoch, validation included.

    Apart from history.csv, which is the same for a run that was killed and
    one that was not. A redone epoch counts once.

    Args:
        path: the CSV file: `epoch`, `seconds` by the clock, `cpu_seconds` of
            all threads.
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
        write_history(self.path, self.rows)
