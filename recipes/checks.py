"""What recipes refuse, and by what they know their data again."""

import zlib

import numpy as np


def refuse(name, wanted, options):
    """Raises ValueError: the option of that name is not what is wanted."""
    flag = name.replace("_", "-")
    raise ValueError(
        f"--{flag} is {wanted}. Received: {name}={getattr(options, name)}"
    )


def check_positive(options, *names):
    """Raises ValueError where one of these is given and is below 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            refuse(name, "at least 1", options)


def fingerprint(arrays):
    """What tells arrays from others, for `RunFolder.check_data`.

    Args:
        arrays: dict of arrays.

    Returns:
        Dict of `shape` and `crc32` for each of them.
    """
    return {
        name: {
            "shape": list(array.shape),
            "crc32": zlib.crc32(np.ascontiguousarray(array)),
        }
        for name, array in arrays.items()
    }
