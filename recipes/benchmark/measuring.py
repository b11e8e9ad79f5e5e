"""Time and memory of this process."""

import pathlib
import statistics
import time

LEAST_SECONDS = 2.0
MOST_CALLS = 1000


def time_calls(function, calls, warm_up=2):
    """Calls a function again and again.

    Args:
        function: without arguments.
        calls: int, how often it is timed at least; a short function is
            called until two seconds are over.
        warm_up: int, how often it is called before.

    Returns:
        Dict of `seconds` and `cpu_seconds` (of all threads), the medians of
        the calls, and `calls`.
    """
    for _ in range(warm_up):
        function()
    wall, cpu = [], []
    while len(wall) < calls or (
        sum(wall) < LEAST_SECONDS and len(wall) < MOST_CALLS
    ):
        start, cpu_start = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return {
        "seconds": statistics.median(wall),
        "cpu_seconds": statistics.median(cpu),
        "calls": len(wall),
    }


def peak_megabytes():
    """Highest resident memory of this process so far, in MB.

    Not `getrusage`, whose figure a process inherits from its parent.
    """
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6
