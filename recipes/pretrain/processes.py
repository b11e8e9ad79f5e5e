"""Pretraining in several processes: options, their checks, the start."""

import dataclasses

import keras

from glomo_keras import training
from recipes.common import check_positive
from recipes.common import refuse

HARMLESS = ("num_processes", "process_index", "coordinator")
"""Options that may differ in a run that goes on."""


@dataclasses.dataclass(kw_only=True)
class ProcessOptions:
    """Options of several processes, each with its part of every batch."""

    num_processes: int = 1
    """How many processes train together: docs/scale.md."""
    process_index: int | None = None
    """Which of them this one is, from 0. None: start all on this machine."""
    coordinator: str | None = None
    """HOST:PORT of process 0; on TensorFlow of each, joined by commas."""

    @property
    def is_helper(self):
        """Whether another process keeps the run folder."""
        return bool(self.process_index)


def check(options):
    """Refuses options that several processes cannot train with."""
    check_positive(options, "num_processes")
    count, index = options.num_processes, options.process_index
    if (index is None) != (options.coordinator is None):
        raise ValueError(
            "--process-index and --coordinator go together. Received: "
            f"process_index={index}, coordinator={options.coordinator}"
        )
    if index is not None and not 0 <= index < count:
        refuse("process_index", f"in [0, {count})", options)
    if count == 1:
        return
    if options.batch_size % count:
        refuse("batch_size", f"a multiple of --num-processes {count}", options)
    _check_backend(options)
    if index is not None:
        _check_addresses(options)


def _check_backend(options):
    backend = keras.backend.backend()
    if backend not in ("jax", "tensorflow"):
        raise ValueError(
            "Several processes train on JAX and TensorFlow: set KERAS_BACKEND "
            f"to one of them. Received: backend={backend}, "
            f"num_processes={options.num_processes}"
        )
    if backend == "jax":
        return
    if options.jit_compile == "true":
        refuse("jit_compile", "auto or false with several processes", options)
    if options.steps_per_execution > 1:
        refuse(
            "steps_per_execution",
            "1 with several processes on TensorFlow",
            options,
        )


def _check_addresses(options):
    addresses, backend = _addresses(options), keras.backend.backend()
    wanted = options.num_processes if backend == "tensorflow" else 1
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            refuse("coordinator", "HOST:PORT, or several", options)
    if len(addresses) not in (wanted, options.num_processes):
        refuse("coordinator", f"{wanted} times HOST:PORT on {backend}", options)


def _addresses(options):
    return [address.strip() for address in options.coordinator.split(",")]


def train(options, train_part):
    """Trains in several processes, or does nothing if there is to be one.

    Args:
        options: `ProcessOptions`, checked.
        train_part: Function of the options that trains as one of several
            processes and returns whether the training has ended.

    Returns:
        False if the time was up before the training ended, else True.
    """
    if options.num_processes == 1:
        return True
    index = options.process_index
    return training.run_processes(
        train_part,
        (options,),
        options.num_processes,
        index,
        None if index is None else _addresses(options),
    )
