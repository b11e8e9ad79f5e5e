import os
import signal

import pytest

from glomo_keras.utils.workers import Workers


class Counter:
    """Counts its calls."""

    def __init__(self):
        self.calls = 0

    def add(self, number):
        self.calls += 1
        return number, self.calls, os.getpid()


def kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def test_one_worker_is_this_process():
    with Workers() as workers:
        results = list(workers.calls(Counter().add, [(5,), (7,)]))
    assert results == [(0, (5, 1, os.getpid())), (1, (7, 2, os.getpid()))]


@pytest.mark.slow
def test_processes_keep_the_object_from_call_to_call():
    with Workers(2) as workers:
        results = dict(workers.calls(Counter().add, [(n,) for n in range(9)]))
    assert [results[n][0] for n in range(9)] == list(range(9))
    counts = {}
    for _, calls, process in results.values():
        counts[process] = max(calls, counts.get(process, 0))
    assert sum(counts.values()) == 9
    assert os.getpid() not in counts


def test_a_call_runs_in_another_process_whose_kill_is_an_error():
    with Workers(2) as workers:
        ((index, result),) = workers.calls(Counter().add, [(5,)])
        assert (index, *result[:2]) == (0, 5, 1)
        assert result[2] != os.getpid()
        with pytest.raises(RuntimeError, match="killed.*num_processes=2"):
            list(workers.calls(kill_this_process, [()]))
