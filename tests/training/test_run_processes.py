"""Processes that train one model together."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from glomo_keras import data
from glomo_keras.training import run_processes
from tests.training import small_job

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run_job(backend, folder, size, kill="", timeout=600):
    """Runs a job; when the time is up, it and its processes are killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.small_job", folder, str(size)],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "KILL": kill,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        },
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
    return process.returncode, errors


def last_checkpoint(folder):
    with np.load(sorted((folder / "checkpoint").glob("*.npz"))[-1]) as file:
        arrays = {name: file[name] for name in file.files}
    del arrays["state.json"]
    return arrays


def assert_same_training(folder, other):
    one, two = last_checkpoint(folder), last_checkpoint(other)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "backend", [pytest.param("jax", marks=pytest.mark.slow), "tensorflow"]
)
def test_two_processes_train_to_the_weights_of_one(backend, tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    if backend == keras.backend.backend():
        small_job.train(one)
        run_processes(small_job.train, (two, 2), 2)
    else:
        for folder, size in ((one, 1), (two, 2)):
            status, errors = run_job(backend, folder, size)
            assert status == 0, errors[-3000:]
    assert_same_training(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_killed_job_goes_on(backend, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    start = time.monotonic()
    assert run_job(backend, whole, 2)[0] == 0
    seconds = time.monotonic() - start
    rng = np.random.default_rng()
    index, batch = rng.integers([0, 4], [2, 9])
    status, errors = run_job(backend, killed, 2, kill=f"{index}:{batch}")
    assert status == 1
    assert f"Process {index} of 2 was killed by signal 9" in errors
    # All processes at once, at some moment.
    run_job(backend, killed, 2, timeout=seconds * rng.uniform(0.1, 0.9))
    status, errors = run_job(backend, killed, 2)
    assert status == 0, errors[-3000:]
    assert_same_training(whole, killed)


@pytest.fixture
def time_limit():
    """Ends a test that waits for ever."""

    def give_up(*_):
        raise TimeoutError("The test has taken two minutes")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("time_limit")
def test_result_longer_than_the_buffer_of_a_pipe_is_returned():
    assert run_processes(bytes, (2**20,), 1) == bytes(2**20)


@pytest.mark.slow
@pytest.mark.usefixtures("time_limit")
@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (int, ("x",), "Process 0 of 1 failed with exit status 1"),
        (sys.exit, (0,), "Process 0 of 1 ended without a result"),
    ],
)
def test_process_without_a_result_is_told(function, arguments, message):
    with pytest.raises(RuntimeError, match=message):
        run_processes(function, arguments, 1)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.slow
def test_all_processes_can_start_at_given_addresses():
    addresses = [free_address(), free_address()]
    assert run_processes(abs, (-3,), 2, addresses=addresses) == 3


@pytest.mark.parametrize("index", [0, None])
def test_port_in_use_is_refused_before_any_process_starts(index):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RuntimeError, match="cannot listen"):
            run_processes(print, (), 2, index, [address] * 2)


@pytest.mark.parametrize("step", [0, 1])
def test_parts_of_a_batch_make_up_the_batch(step):
    sampler = data.WindowSampler(small_job.stream(), 4, 20)
    windows = data.EvaluationWindows(small_job.stream(), 4, 10)
    for batches in (sampler, windows):
        parts = [data.BatchPart(batches, i, 2).batch(step) for i in (0, 1)]
        for name, whole in batches.batch(step).items():
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(joined, whole)


def test_batch_that_cannot_be_divided_is_refused():
    sampler = data.WindowSampler(small_job.stream(), 4, 20)
    with pytest.raises(ValueError, match="size=3, batch_size=4"):
        data.BatchPart(sampler, 0, 3)
