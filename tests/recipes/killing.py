"""Recipes as processes of their own, which the tests end with SIGKILL."""

import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]


def start(module, **flags):
    """`python -m module --flag value ...` as a process."""
    command = [sys.executable, "-m", module]
    for name, value in flags.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_at(process, checkpoints, goal, delay=0.0):
    """Kills a process once the folder has checkpoint number `goal`."""
    while all(
        int(file.stem.split("-")[1]) < goal
        for file in checkpoints.glob("*.npz")
    ):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()


def check_killed_task(module, folder, files, goals=(3, 8), **flags):
    """A run killed at the goals leaves the files of one that was not.

    Args:
        module: name of a recipe of a task.
        folder: where the runs go.
        files: names of files of a run.
        goals: numbers of the checkpoints at which it is killed.
        **flags: of the recipe, without `out`.
    """
    assert start(module, out=folder / "whole", **flags).wait() == 0
    for goal in goals:
        process = start(module, out=folder / "killed", **flags)
        kill_at(process, folder / "killed/seed-0/checkpoint", goal)
    assert start(module, out=folder / "killed", **flags).wait() == 0
    for name in files:
        whole, killed = (
            (folder / out / "seed-0" / name).read_text()
            for out in ("whole", "killed")
        )
        assert whole == killed, name
