"""A run killed by SIGKILL and started again is the same run."""

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.training import small_run

# Keras itself, under numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def run_process(folder, *moment):
    return subprocess.run(
        [sys.executable, "-m", "tests.training.small_run", folder, *moment],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path):
    rng = np.random.default_rng()
    batch, saving, saved = rng.integers([12, 1, 2], [99, 9, 9])
    # The first call of `write_history` after a resume is by `restore`.
    moments = [f"batch:{batch}", f"saving:{saving}", f"saved:{saved}"]
    for moment in moments:
        process = run_process(tmp_path / "killed", moment)
        assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]
    killed, killed_history = small_run.train(tmp_path / "killed")
    whole, history = small_run.train(tmp_path / "whole")

    message = f"killed at {moments}"
    small_run.assert_same_weights(killed, whole, message)
    assert killed_history.history == history.history, message
    small_run.assert_same_csv(tmp_path / "killed", tmp_path / "whole", message)
