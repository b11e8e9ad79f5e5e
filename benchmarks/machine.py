"""What the benchmark ran on."""

import importlib.metadata
import os
import pathlib
import platform

from benchmarks.measuring import available_megabytes
from benchmarks.measuring import total_megabytes

PACKAGES = ("tensorflow", "keras", "numpy", "glomo-keras")
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")
BUSY = 0.5


def describe_machine():
    """Dict of words and numbers: processor, memory, versions, load."""
    processor = _processor()
    flags = processor.get("flags", "").split()
    return {
        "processor": processor.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "bfloat16_instructions": " ".join(
            flag for flag in BFLOAT16_FLAGS if flag in flags
        )
        or "none",
        "memory_gb": round(total_megabytes() / 1000, 1),
        "available_gb": round(available_megabytes() / 1000, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "load_average": round(os.getloadavg()[0], 2),
    }


def _processor():
    """The first processor of /proc/cpuinfo."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    lines = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines())
    return {pair[0].strip(): pair[-1].strip() for pair in lines}


def print_machine(machine):
    """Prints the description, and a warning if the machine is busy."""
    for name, value in machine.items():
        print(f"{name:>22}  {value}")
    if machine["load_average"] > BUSY:
        print(
            "WARNING: other processes are running (load average "
            f"{machine['load_average']}): the figures below are not those of "
            "a quiet machine."
        )
