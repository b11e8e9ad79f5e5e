"""Time and memory of this process."""

import pathlib
import statistics
import time

LEAST_SECONDS = 2.0
MOST_SECONDS = 20.0
LEAST_CALLS = 3
SLOW_SECONDS = 5.0


def time_calls(function, calls):
    """`time_alternately` of one function.

    Args:
        function: without arguments.
        calls: see `time_alternately`.

    Returns:
        Dict of `seconds`, `cpu_seconds`, `fastest` and `calls`.
    """
    return time_alternately({"": function}, calls)[""]


def time_alternately(functions, calls):
    """Calls functions in turn, again and again, after a warm-up.

    The warm-up is two calls, or one that takes longer than five seconds.

    Args:
        functions: dict of functions without arguments.
        calls: int, how often each is timed: more often while that takes less
            than two seconds, three times at least once it takes twenty.

    Returns:
        Dict with the names of the functions: `seconds` and `cpu_seconds` (of
        all threads), the medians of the calls; `fastest`, the shortest
        call's seconds; `calls`, their number.
    """
    for function in functions.values():
        if _time(function)[0] < SLOW_SECONDS:
            function()
    times = {name: [] for name in functions}
    start = time.perf_counter()
    done = 0
    while not _is_enough(done, calls, time.perf_counter() - start):
        for name, function in functions.items():
            times[name].append(_time(function))
        done += 1
    return {
        name: {
            "seconds": statistics.median(wall for wall, _ in pairs),
            "cpu_seconds": statistics.median(cpu for _, cpu in pairs),
            "fastest": min(pairs)[0],
            "calls": done,
        }
        for name, pairs in times.items()
    }


def _is_enough(done, calls, seconds):
    if done < min(calls, LEAST_CALLS):
        return False
    if seconds >= MOST_SECONDS:
        return True
    return done >= calls and seconds >= LEAST_SECONDS


def _time(function):
    """Wall and CPU seconds of one call."""
    start, cpu_start = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - cpu_start


def peak_megabytes():
    """Highest resident memory of this process so far, in MB.

    Not `getrusage`, whose figure a process inherits from its parent.
    """
    return _kilobytes("/proc/self/status", "VmHWM") * 1024 / 1e6


def resident_megabytes(pid):
    """Resident memory of a process now, in MB."""
    return _kilobytes(f"/proc/{pid}/status", "VmRSS") * 1024 / 1e6


def available_megabytes():
    """Memory that is free for a new process, in MB."""
    return _kilobytes("/proc/meminfo", "MemAvailable") * 1024 / 1e6


def total_megabytes():
    """Memory of the machine, in MB."""
    return _kilobytes("/proc/meminfo", "MemTotal") * 1024 / 1e6


def _kilobytes(path, name):
    lines = pathlib.Path(path).read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1])
