"""Each case in a process of its own, which may fail."""

import json
import os
import resource
import subprocess
import sys

from benchmarks.measuring import available_megabytes

SHARE_OF_MEMORY = 0.95
OUT_OF_MEMORY = "out of memory"
SIGNS_OF_LITTLE_MEMORY = (
    "OOM when allocating",
    "RESOURCE_EXHAUSTED",
    "ResourceExhausted",
    "Out of memory",
    "out of memory",
    "MemoryError",
    "bad_alloc",
)
KILLED = (-9, 137)
LAST_LINES = 5


def limit_memory():
    """Lets this process fail before the machine runs out of memory.

    Of what is available now it may take 95 %; should that not help, the
    kernel is to end this process rather than another.
    """
    most = int(available_megabytes() * SHARE_OF_MEMORY * 1e6)
    _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def measure_apart(case, arguments, time_limit):
    """Runs `python -m benchmarks --case CASE`.

    Args:
        case: string.
        arguments: list of strings, further arguments.
        time_limit: float, seconds.

    Returns:
        Dict: what the case measured, or `failed`, the reason in words, and
        `message`, the end of what it wrote to stderr.
    """
    command = [sys.executable, "-m", "benchmarks", "--case", case]
    try:
        process = subprocess.run(
            command + arguments,
            capture_output=True,
            text=True,
            timeout=time_limit,
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {time_limit:.0f} s", "message": ""}
    if process.returncode:
        return {
            "failed": failure(process.returncode, process.stderr),
            "message": "\n".join(process.stderr.splitlines()[-LAST_LINES:]),
        }
    return json.loads(process.stdout.splitlines()[-1])


def failure(code, errors):
    """Why a process failed, in words.

    Args:
        code: int, its return code, not 0.
        errors: string, what it wrote to stderr.
    """
    if code in KILLED or any(sign in errors for sign in SIGNS_OF_LITTLE_MEMORY):
        return OUT_OF_MEMORY
    return f"error {code}"
