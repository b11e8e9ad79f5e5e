"""Helpers of all recipes: options, their checks, checksums."""

import dataclasses
import pathlib
import zlib

import numpy as np

from glomo_keras import data
from glomo_keras.utils import files

JIT_COMPILE = {"auto": "auto", "true": True, "false": False}
"""Values of `compile(jit_compile=...)` by the option `--jit-compile`."""


def refuse(name, wanted, options):
    """Raises ValueError: an option is not what it must be."""
    flag = name.replace("_", "-")
    raise ValueError(
        f"--{flag} is {wanted}. Received: {name}={getattr(options, name)}"
    )


def check_at_least(least, options, *names):
    """Raises ValueError if one of these options is given and is below that."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            refuse(name, f"at least {least}", options)


def check_positive(options, *names):
    """Raises ValueError if one of these options is given and is below 1."""
    check_at_least(1, options, *names)


def check_not_negative(options, *names):
    """Raises ValueError if one of these options is given and is below 0."""
    check_at_least(0, options, *names)


def check_each_once(options, *names):
    """Raises ValueError unless these options have values, each of them once."""
    for name in names:
        values = getattr(options, name)
        if not values or len(set(values)) < len(values):
            refuse(name, "one or more, each once", options)


def check_rate(options, *names):
    """Raises ValueError unless these options are in [0, 1)."""
    for name in names:
        if not 0 <= getattr(options, name) < 1:
            refuse(name, "in [0, 1)", options)


def check_above_zero(options, *names):
    """Raises ValueError unless these options are above 0."""
    for name in names:
        if not getattr(options, name) > 0:
            refuse(name, "above 0", options)


def beam_arguments(options, beam_options):
    """Returns the arguments of Beam, or None without `--runner`.

    Args:
        options: dataclass with `runner`, a str or None.
        beam_options: Sequence of str, what else the command line says.

    Raises:
        ValueError: If there are options of Beam and no runner.
    """
    if options.runner is not None:
        return ["--runner", options.runner, *beam_options]
    if beam_options:
        given = " ".join(beam_options)
        wanted = f"needed with options of Beam ({given}), such as DirectRunner"
        refuse("runner", wanted, options)
    return None


def with_config(options, configs):
    """Returns the options with the values of `config` for those left None."""
    missing = {
        name: value
        for name, value in configs[options.config].items()
        if getattr(options, name) is None
    }
    return dataclasses.replace(options, **missing)


def read_options(run, options_class, needed=()):
    """Reads the options of a finished run from its config.json.

    Args:
        run: path of the run folder.
        options_class: the dataclass of the recipe's options.
        needed: names of files that the run must have left.

    Returns:
        An `options_class`. Entries of config.json without a field are left
        out.

    Raises:
        ValueError: If the run is not finished.
    """
    needed = ("config.json", "metrics.json", *needed)
    missing = [name for name in needed if not (run / name).exists()]
    if missing:
        raise ValueError(
            f"Not the folder of a finished run: {', '.join(missing)} missing. "
            f"Received: run={run}"
        )
    config = files.read_json(run / "config.json")
    given = {}
    for field in dataclasses.fields(options_class):
        if field.name in config:
            value = config[field.name]
            if isinstance(value, list):
                value = tuple(value)
            if field.type is pathlib.Path:
                value = pathlib.Path(value)
            given[field.name] = value
    return options_class(**given)


def check_data(facts, run):
    """Refuses data that are not those of a finished run.

    Args:
        facts: dict; names that the run's data.json lacks do not count.
        run: path of the run folder.

    Raises:
        ValueError: If a fact differs, or the run has no data.json.
    """
    path = run / "data.json"
    if not path.exists():
        raise ValueError(
            f"The run has no record of its data. Received: {path}, missing"
        )
    there = files.read_json(path)
    differ = [name for name, x in facts.items() if there.get(name, x) != x]
    if differ:
        raise ValueError(
            "The data are not those of the run: restore them, or name the "
            "place that they have moved to if the recipe has an option for it. "
            f"Received: other {differ} than in {path}"
        )


def read_image(path, size):
    """Returns an image file, uint8 `(size, size, 3)`.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        return data.read_image(path, size)
    except data.UnusableImage as fault:
        raise ValueError(
            f"This file cannot be used: {fault}. Received: image={path}"
        ) from fault


def fingerprint(arrays):
    """Returns the shape and CRC-32 of each array in a dict.

    `RunFolder.check_data` compares them when a run goes on.
    """
    return {
        name: {
            "shape": list(array.shape),
            "crc32": zlib.crc32(np.ascontiguousarray(array)),
        }
        for name, array in arrays.items()
    }
