"""Calls of a function here or in processes of this machine."""

import concurrent.futures
import itertools
import multiprocessing
import os
import threading


class Workers:
    """Calls functions in this process or in several others.

    A context manager. Its processes start with the first call; they have one
    thread of TensorFlow's each, and end when this process does.

    Args:
        count: int; 1 is this process. Defaults to `1`.
    """

    def __init__(self, count=1):
        self.count = count
        self._pool = None
        self._numbers = itertools.count()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._pool is not None:
            self._pool.shutdown(wait=error[0] is None, cancel_futures=True)

    def calls(self, function, arguments):
        """Calls a function for each of several tuples of arguments.

        Args:
            function: Function or method that can be pickled; a process
                keeps the object of a method from call to call.
            arguments: Iterable of tuples.

        Yields:
            `(index, result)`, in the order in which the calls end.

        Raises:
            RuntimeError: If a process was killed.
        """
        if self.count == 1:
            for index, given in enumerate(arguments):
                yield index, function(*given)
            return
        if self._pool is None:
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self.count, multiprocessing.get_context("spawn"), _start
            )
        number = next(self._numbers)
        try:
            indices = {
                self._pool.submit(_call, number, function, given): index
                for index, given in enumerate(arguments)
            }
            for done in concurrent.futures.as_completed(indices):
                yield indices.pop(done), done.result()
        except concurrent.futures.BrokenExecutor as error:
            raise RuntimeError(
                "A process ended before its work was done: it was killed, "
                "perhaps because memory ran out. Run the same command again "
                "to finish the missing parts. "
                f"Received: num_processes={self.count}"
            ) from error


def end_with_parent():
    """Ends this process when the one that started it does, however it ends."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def _start():
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    end_with_parent()


_kept = {}


def _call(number, function, arguments):
    """Calls the function that came first under this number."""
    if number not in _kept:
        _kept.clear()
        _kept[number] = function
    return _kept[number](*arguments)
