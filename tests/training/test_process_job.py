"""What several processes must agree on; their numbers are given here."""

import pytest

from glomo_keras import training
from glomo_keras.training import process_job


def test_facts_that_differ_between_processes_are_refused(monkeypatch):
    training.check_same({"text": "of one process"})
    monkeypatch.setattr(process_job, "numbers_of_all", lambda n: [n, n + 1])
    with pytest.raises(ValueError, match="the same text: .*Received: text=1 "):
        training.check_same({"text": 1})


@pytest.mark.parametrize("decision", [True, False])
def test_the_first_process_decides(monkeypatch, decision):
    assert training.decided_by_first(decision) is decision
    monkeypatch.setattr(process_job, "numbers_of_all", lambda n: [1 - n, n])
    assert training.decided_by_first(decision) is not decision
