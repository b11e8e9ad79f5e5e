"""The run folder: options, lock, metrics."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import keras
import pytest

from glomo_keras.training import RunFolder
from glomo_keras.training import check_finite


@dataclasses.dataclass
class Data:
    workers: int = 2
    names: tuple = ("a", "b")


@dataclasses.dataclass
class Options:
    folder: pathlib.Path = pathlib.Path("runs/x")
    learning_rate: float = 0.1
    threshold: float = float("nan")
    data: Data = dataclasses.field(default_factory=Data)


def start_and_close(path, options, **kwargs):
    RunFolder(path).start(options, **kwargs).close()


def test_start_prints_and_saves_the_options(tmp_path, capsys):
    start_and_close(tmp_path / "a" / "b", Options())
    text = (tmp_path / "a" / "b" / "config.json").read_text()
    assert capsys.readouterr().out == text
    config = json.loads(text)
    assert config["folder"] == "runs/x"
    assert config["data"] == {"workers": 2, "names": ["a", "b"]}
    assert (tmp_path / "a" / "b" / "figures").is_dir()


def test_same_options_are_the_same_run(tmp_path):
    begin(tmp_path, Options())
    start_and_close(tmp_path, Options())


def begin(path, options):
    """Starts a run, and leaves what its first epoch leaves."""
    with RunFolder(path).start(options) as folder:
        folder.history_path.write_text("epoch,loss\n0,1.0\n")


def test_other_options_are_refused_and_listed(tmp_path):
    begin(tmp_path, Options())
    before = (tmp_path / "config.json").read_text()
    other = Options(learning_rate=0.2, data=Data(names=("a",)))
    with pytest.raises(ValueError) as error:
        start_and_close(tmp_path, other)
    message = str(error.value)
    assert "  learning_rate: 0.1 there, 0.2 now\n" in message
    assert '  data.names: ["a", "b"] there, ["a"] now\n' in message
    assert "workers" not in message and "threshold" not in message
    assert message.endswith(f"Received: path={tmp_path}")
    assert (tmp_path / "config.json").read_text() == before
    start_and_close(tmp_path, Options())  # the refusal freed the lock


def test_an_option_on_one_side_only_is_refused(tmp_path):
    begin(tmp_path, {"a": 1, "b": 2})
    with pytest.raises(ValueError, match="b: 2 there, absent now"):
        start_and_close(tmp_path, {"a": 1})
    with pytest.raises(ValueError, match="c: absent there, null now"):
        start_and_close(tmp_path, {"a": 1, "b": 2, "c": None})


@pytest.mark.parametrize("harmless", ["data.workers", "data"])
def test_harmless_options_may_differ(tmp_path, harmless):
    begin(tmp_path, Options())
    other = Options(data=Data(workers=9))
    with pytest.raises(ValueError, match="data.workers: 2 there, 9 now"):
        start_and_close(tmp_path, other)
    start_and_close(tmp_path, other, harmless=[harmless])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["data"]["workers"] == 9


def test_overwrite_empties_only_a_folder_with_other_options(tmp_path):
    with RunFolder(tmp_path).start({"a": 1}) as folder:
        folder.checkpoint_dir.mkdir()
        folder.write_metrics({"accuracy": 1.0})
    (tmp_path / "notes.txt").write_text("mine")
    with RunFolder(tmp_path).start({"a": 1}, overwrite=True) as folder:
        assert folder.finished and folder.checkpoint_dir.exists()
    with RunFolder(tmp_path).start({"a": 2}, overwrite=True) as folder:
        assert not folder.finished and not folder.checkpoint_dir.exists()
    assert (tmp_path / "notes.txt").exists()


def test_overwrite_removes_the_results_that_are_named(tmp_path):
    results = ["preset", "predictions*.csv"]
    with RunFolder(tmp_path, results).start({"a": 1}) as folder:
        folder.write_metrics({"accuracy": 1.0})
    (tmp_path / "preset").mkdir()
    names = ["preset/model", "predictions-1.csv", "notes.txt"]
    for name in names:
        (tmp_path / name).write_text("old")
    with RunFolder(tmp_path, results).start({"a": 2}, overwrite=True):
        assert [(tmp_path / name).exists() for name in names] == [0, 0, 1]


def test_a_start_that_failed_at_once_blocks_no_corrected_one(tmp_path):
    start_and_close(tmp_path, {"corpus": "nope*.txt"})
    start_and_close(tmp_path, {"corpus": "texts*.txt"})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {"corpus": "texts*.txt"}
    (tmp_path / "preset").mkdir()
    with pytest.raises(ValueError, match="corpus"):
        RunFolder(tmp_path, ["preset"]).start({"corpus": "other"})


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "taken"
    path.write_text("")
    with pytest.raises(ValueError, match=f"a file. Received: {path}"):
        start_and_close(path, {})


def test_a_run_goes_on_with_the_data_that_it_began_with(tmp_path):
    with RunFolder(tmp_path).start({}) as folder:
        folder.check_data({"words": 3})
        folder.check_data({"words": 4})  # nothing was learned from the first
        folder.history_path.write_text("epoch,loss\n0,1.0\n")
        folder.check_data({"words": 4})
        with pytest.raises(ValueError, match="words: 4 there, 5 now"):
            folder.check_data({"words": 5})


def test_check_finite_names_the_epoch():
    history = keras.callbacks.History()
    history.epoch, history.history = [0, 1], {"loss": [2.0, 1.0]}
    check_finite(history)
    history.history["loss"][1] = float("nan")
    with pytest.raises(RuntimeError, match="epoch 2: .*learning rate"):
        check_finite(history)
    # Only the validation is after the last update.
    history.history = {"loss": [2.0, 1.0], "val_loss": [1.5, float("nan")]}
    with pytest.raises(RuntimeError, match="epoch 2: .*val_loss=nan"):
        check_finite(history)


def test_metrics_mark_the_run_as_finished(tmp_path):
    with RunFolder(tmp_path).start({}) as folder:
        assert not folder.finished
        folder.write_metrics({"accuracy": keras.ops.convert_to_tensor(0.25)})
    with RunFolder(tmp_path).start({}) as folder:
        assert folder.finished
        assert folder.read_metrics() == {"accuracy": 0.25}


def test_what_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TypeError, match="Received: <class 'object'>"):
        start_and_close(tmp_path, {"a": object()})


def test_second_run_folder_is_refused_while_the_first_is_open(tmp_path):
    with RunFolder(tmp_path).start({}):
        with pytest.raises(RuntimeError, match=f"pid {os.getpid()}"):
            RunFolder(tmp_path).start({})
    start_and_close(tmp_path, {})


LOCKING_PROCESS = """
import fcntl, os, sys, time
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, str(os.getpid()).encode())
print("locked", flush=True)
time.sleep(60)
"""


def test_lock_of_a_killed_process_is_taken_over(tmp_path):
    command = [sys.executable, "-c", LOCKING_PROCESS, tmp_path / ".lock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(RuntimeError, match=f"pid {process.pid}"):
            start_and_close(tmp_path, {})
        process.send_signal(signal.SIGKILL)
    start_and_close(tmp_path, {})


def test_data_with_more_facts_than_an_earlier_version_wrote(tmp_path):
    begin(tmp_path, {"a": 1})
    folder = RunFolder(tmp_path)
    (tmp_path / "data.json").write_text('{"words": 3}')
    with folder.start({"a": 1}):
        folder.check_data({"words": 3, "vectors": {"crc32": 5}})
        with pytest.raises(ValueError, match="words: 3 there, 4 now"):
            folder.check_data({"words": 4, "vectors": {"crc32": 5}})
