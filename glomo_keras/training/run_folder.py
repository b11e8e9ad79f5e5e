"""Keeps all that a run writes in one folder."""

import dataclasses
import enum
import fcntl
import json
import os
import pathlib
import shutil

from glomo_keras.utils import files


class RunFolder:
    """Keeps options, logs, metrics, figures and checkpoints of one run.

    `config.json, data.json, history.csv, metrics.json, tensorboard/,
    figures/, checkpoint/`, and its results. One process at a time may work
    in it. The same options in the same folder are the same run, which goes on
    where it stopped; other options are refused once an epoch or a result has
    been written.

    Args:
        path: The folder.
        results: Names, or patterns, of what else the run leaves in it.
            Defaults to none.

    Example:

    >>> with RunFolder("runs/one").start({"seed": 1}) as folder:
    ...     if not folder.finished:
    ...         folder.write_metrics({"accuracy": 0.5})
    ...     folder.read_metrics()
    {
      "seed": 1
    }
    {'accuracy': 0.5}
    """

    def __init__(self, path, results=()):
        self.path = pathlib.Path(path)
        self.results = tuple(results)
        self.config_path = self.path / "config.json"
        self.data_path = self.path / "data.json"
        self.history_path = self.path / "history.csv"
        self.timing_path = self.path / "timing.csv"
        self.metrics_path = self.path / "metrics.json"
        self.tensorboard_dir = self.path / "tensorboard"
        self.figures_dir = self.path / "figures"
        self.checkpoint_dir = self.path / "checkpoint"
        self._lock = None

    def start(self, options, harmless=(), overwrite=False):
        """Takes the folder, prints the options and writes `config.json`.

        Args:
            options: Dataclass or dict, nested if need be, of what JSON can
                hold, paths and enums.
            harmless: Names of options that may differ from those in the
                folder (`"data.workers"`; `"data"` stands for all in it).
                Defaults to none.
            overwrite: Boolean, whether to empty a folder that holds a run
                with other options. A run with the same options goes on all
                the same. Defaults to `False`.

        Returns:
            The folder itself, for `with`: it is free again after the block,
            and in any case when the process ends.

        Raises:
            ValueError: If the folder holds a run with other options, or is a
                file.
            RuntimeError: If another process works in the folder.
        """
        config = _as_json(options)
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"A run needs a folder, this is a file. Received: {self.path}"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._admit(config, harmless, overwrite)
            self.figures_dir.mkdir(exist_ok=True)
            print(files.write_json(self.config_path, config))
        except BaseException:
            self.close()
            raise
        return self

    def check_data(self, facts):
        """Refuses to go on with other data than the run began with.

        Args:
            facts: Dict of values that identify the data; written to
                `data.json` the first time. Later, names that are not in it
                do not count.

        Raises:
            ValueError: If they differ from those in the folder.
        """
        facts = _as_json(facts)
        if not self._begun or not self.data_path.exists():
            files.write_json(self.data_path, facts)
            return
        there = files.read_json(self.data_path)
        # A run of an earlier version knows fewer facts.
        known = {name: x for name, x in facts.items() if name in there}
        differences = _differences(there, known, ())
        if differences:
            raise ValueError(
                "The data have changed since this run began:\n"
                + _indented(differences)
                + "\nChoose another folder, or restore the data. "
                f"Received: path={self.path}"
            )

    def close(self):
        """Lets another process, or another `RunFolder`, work in the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    @property
    def finished(self):
        """True when the run has written its metrics, the last thing it does."""
        return self.metrics_path.exists()

    def write_metrics(self, metrics):
        """Writes `metrics.json`, which marks the run as finished."""
        files.write_json(self.metrics_path, metrics, default=_plain)

    def read_metrics(self):
        """Returns the metrics of a finished run."""
        return files.read_json(self.metrics_path)

    def _take_lock(self):
        # The system frees the lock when its process dies, however it dies.
        if self._lock is not None:
            return
        lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode() or "unknown"
            os.close(lock)
            raise RuntimeError(
                f"Another process works in this folder (pid {holder}). "
                f"Received: path={self.path}"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _admit(self, config, harmless, overwrite):
        if not self.config_path.exists():
            return
        there = files.read_json(self.config_path)
        differences = _differences(there, config, harmless)
        if differences and self._begun and not overwrite:
            raise ValueError(
                "The folder holds a run with other options:\n"
                + _indented(differences)
                + "\nChoose another folder, or empty this one. "
                f"Received: path={self.path}"
            )
        if differences:
            self._empty()

    @property
    def _begun(self):
        """Whether more was written than a failed start leaves behind."""
        left = (self.data_path, self.figures_dir, self.tensorboard_dir)
        return any(path not in left for path in self._contents())

    def _contents(self):
        """Returns the existing paths of the run, without `config.json`."""
        names = (
            self.data_path,
            self.history_path,
            self.timing_path,
            self.metrics_path,
            self.tensorboard_dir,
            self.figures_dir,
            self.checkpoint_dir,
        )
        found = [path for path in names if path.exists()]
        for pattern in self.results:
            found += self.path.glob(pattern)
        return found

    def _empty(self):
        # config.json goes last, replaced by `start`: a kill before that
        # leaves a folder that still differs and is emptied again.
        for path in self._contents():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _indented(lines):
    return "\n".join(f"  {line}" for line in lines)


def _as_json(options):
    if dataclasses.is_dataclass(options):
        options = dataclasses.asdict(options)
    return json.loads(json.dumps(dict(options), default=_plain))


def _plain(value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, enum.Enum):
        return value.name
    if hasattr(value, "numpy") and not hasattr(value, "tolist"):
        value = value.numpy()  # a tensor of TensorFlow
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"Neither JSON, a path nor an enum. Received: {type(value)}, {value!r}"
    )


def _differences(there, now, harmless):
    there, now = dict(_flat(there)), dict(_flat(now))
    return [
        f"{name}: {there.get(name, 'absent')} there, "
        f"{now.get(name, 'absent')} now"
        for name in there | now
        if there.get(name) != now.get(name)
        and not any(f"{name}.".startswith(f"{h}.") for h in harmless)
    ]


def _flat(config, prefix=""):
    """Yields dotted names and values, as JSON text, which compares NaN."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value)
