"""Time and memory of this process. Linux only."""

import pathlib
import statistics
import time


def time_calls(function, calls, least_seconds=2.0):
    """Calls a function again and again, after a warm-up of two calls.

    Args:
        function: without arguments.
        calls: int, how often it is timed.
        least_seconds: float; a quick function is timed more often, until this
            time is over. Defaults to `2.0`.

    Returns:
        Dict of the medians `seconds` and `cpu_seconds` (of all threads).
    """
    for _ in range(2):
        function()
    times = []
    start = time.perf_counter()
    while len(times) < calls or time.perf_counter() - start < least_seconds:
        before = time.perf_counter(), time.process_time()
        function()
        times.append(
            (time.perf_counter() - before[0], time.process_time() - before[1])
        )
    return dict(
        zip(
            ("seconds", "cpu_seconds"),
            map(statistics.median, zip(*times, strict=True)),
            strict=True,
        )
    )


def peak_megabytes():
    """Returns the highest resident memory of this process so far, in MB.

    Not `getrusage`, whose figure a process inherits from its parent.
    """
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
