"""Starts the processes of a job on this machine, and watches them."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import socket
import sys

from glomo_keras.training.process_job import joined
from glomo_keras.utils.workers import end_with_parent


def run_processes(
    function, arguments, num_processes, index=None, addresses=None
):
    """Calls a function in several processes that train one model together.

    Each is a fresh process, joined with the others (see `process_job`). They
    share the cores of this machine where there are enough of them. Output of
    the first one is shown, and errors of all. When one fails, the others of
    this machine are ended; those elsewhere notice that the connection is
    gone. When this process ends, however it ends, so do they.

    Args:
        function: Function of a module; it can be pickled.
        arguments: Tuple of what it is called with.
        num_processes: Integer, how many there are on all machines.
        index: Integer, the only one to start here; see `addresses`. Defaults
            to `None`, all of them.
        addresses: List of `"host:port"`: where process 0 listens (JAX), or
            each of them (TensorFlow). Defaults to `None`, free ports of this
            machine.

    Returns:
        What the function returned in the first process started here.

    Raises:
        RuntimeError: If a process fails, is killed or ends without a result,
            or a port is in use.
    """
    indices = range(num_processes) if index is None else [index]
    if addresses is None:
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(num_processes)]
    else:
        for each in indices:
            _check_port(addresses, each)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    processes = [
        context.Process(
            target=_run,
            args=(function, arguments, i, num_processes, addresses),
            kwargs={"sender": sender if i == indices[0] else None},
        )
        for i in indices
    ]
    try:
        with _core_of_each(processes) as start:
            for process in processes:
                start(process)
        sender.close()
        started = dict(zip(indices, processes, strict=True))
        return _wait(started, num_processes, receiver)
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


def _wait(processes, num_processes, receiver):
    """Waits until all have ended; returns the result of the first one.

    Raises when one of them has failed.
    """
    waiting, unread, results = dict(processes), [receiver], []
    while waiting or unread:
        ready = multiprocessing.connection.wait(
            [*unread, *(process.sentinel for process in waiting.values())]
        )
        if receiver in ready:
            # A result larger than the pipe's buffer holds its process until it
            # is read. A process that dies sends none: its status says why.
            unread = []
            with contextlib.suppress(EOFError, OSError):
                results.append(receiver.recv())
        ended = [i for i, p in waiting.items() if p.exitcode is not None]
        for index in ended:
            status = waiting.pop(index).exitcode
            if status:
                how = (
                    f"was killed by signal {-status}"
                    if status < 0
                    else f"failed with exit status {status}"
                )
                raise RuntimeError(
                    f"Process {index} of {num_processes} {how}, and the job "
                    "ends; its error, or that of the process that it lost, "
                    "stands above. Run the same command again to go on from "
                    "the last checkpoint."
                )
    if not results:
        raise RuntimeError(
            f"Process {min(processes)} of {num_processes} ended without a "
            "result."
        )
    return results[0]


def _run(function, arguments, index, num_processes, addresses, sender):
    """Runs the function in a process of the job."""
    end_with_parent()
    if index:
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with joined(index, num_processes, addresses):
        result = function(*arguments)
    if sender is not None:
        sender.send(result)


@contextlib.contextmanager
def _core_of_each(processes):
    """Gives a function that starts a process on its share of the cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield lambda process: process.start()
        return
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // len(processes)
    places = iter(range(len(processes)))

    def start(process):
        # A process inherits the cores of the thread that starts it.
        if share:
            first = next(places) * share
            os.sched_setaffinity(0, cores[first : first + share])
        process.start()

    try:
        yield start
    finally:
        os.sched_setaffinity(0, cores)


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _check_port(addresses, index):
    """Refuses a port of this machine that another program uses."""
    if index >= len(addresses):
        return
    port = int(addresses[index].rsplit(":", 1)[1])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise RuntimeError(
                f"Process {index} cannot listen at its port: choose another "
                f"one for all processes. Received: {addresses[index]} ({error})"
            ) from None
