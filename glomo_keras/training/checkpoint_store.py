"""Numbered checkpoints in a folder, each one file."""

import json
import pathlib
import warnings
import zipfile

import numpy as np

from glomo_keras.utils.files import atomic_file

_STATE = "state.json"
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class CheckpointStore:
    """Keeps the newest checkpoints of a run.

    A checkpoint is one `.npz` file: named arrays and a JSON state. It appears
    under its name only when complete, the older ones are deleted after that,
    and the checksums of the format tell a damaged file from a sound one.

    Args:
        directory: The folder; it is made by the first `save`.
        keep: How many checkpoints stay. The second one is what `load` falls
            back to. Defaults to `2`.

    Example:

    >>> store = CheckpointStore("checkpoint")
    >>> store.save(1, {"weights": np.ones(2)}, {"epochs_done": 1})
    >>> arrays, state = store.load()
    >>> state
    {'epochs_done': 1}
    """

    def __init__(self, directory, keep=2):
        if keep < 1:
            raise ValueError(
                f"At least one checkpoint must stay. Received: keep={keep}"
            )
        self.directory = pathlib.Path(directory)
        self.keep = keep

    def paths(self):
        """Returns the checkpoint files, oldest first."""
        return sorted(self.directory.glob("checkpoint-*.npz"))

    def save(self, number, arrays, state):
        """Writes checkpoint `number`, then deletes those no longer kept.

        Args:
            number: Integer; the highest number is the newest checkpoint.
            arrays: Dict of names to arrays. bfloat16 is kept as float32.
            state: What `json` can write.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        entries = {name: _storable(array) for name, array in arrays.items()}
        entries[_STATE] = np.frombuffer(json.dumps(state).encode(), "uint8")
        path = self.directory / f"checkpoint-{number:08d}.npz"
        with atomic_file(path, "wb") as file:
            np.savez(file, **entries)
        for old in self.paths()[: -self.keep]:
            old.unlink()

    def load(self):
        """Reads the newest sound checkpoint.

        Returns:
            `(arrays, state)` as given to `save`, or None when there is no
            checkpoint.

        Raises:
            OSError: If there are checkpoints and all of them are damaged.
        """
        paths = self.paths()[::-1]
        for path in paths:
            try:
                return _read(path)
            except _DAMAGE as error:
                warnings.warn(
                    f"The checkpoint {path} is damaged ({error!r}); trying "
                    "the one before it.",
                    stacklevel=2,
                )
        if paths:
            raise OSError(
                "No checkpoint can be read; delete them to start over. "
                f"Received: directory={self.directory}"
            )
        return None


def _storable(array):
    # numpy does not know bfloat16 (kind "V"); float32 holds it exactly.
    array = np.asarray(array)
    return array.astype("float32") if array.dtype.kind == "V" else array


def _read(path):
    # Opened here: numpy would leave the handle of a damaged file open.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
        arrays = {name: npz[name] for name in npz.files}
    return arrays, json.loads(arrays.pop(_STATE).tobytes())
