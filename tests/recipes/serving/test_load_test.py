import json

import pytest

from recipes.serving import load_test


def load_of(seconds=(), errors=()):
    load = load_test.Load(None, ["word"], clients=0)
    load.seconds["edges"] += seconds
    load.errors += errors
    return load


def test_summary_counts_and_compares_the_memory_of_start_and_end():
    samples = [(at, 100.0 if at < 30 else 110.0) for at in range(60)]
    load = load_of([0.1, 0.2, 0.3], ["ServingError: no"] * 7)
    found = load_test.summary(load, samples, 60)
    assert found["answers"] == 3
    assert found["answers_per_second"] == pytest.approx(0.05)
    assert found["errors"] == 7
    assert len(found["first_errors"]) == 5
    assert found["milliseconds"]["edges"]["median"] == pytest.approx(200)
    assert found["growth"] == pytest.approx(0.1)


def test_a_model_that_is_not_there_is_named(tmp_path):
    options = load_test.Options(models=tmp_path, out=tmp_path / "out")
    with pytest.raises(ValueError, match=f"no model.*Received: {tmp_path}"):
        load_test.main(options)


def test_what_a_client_meets_is_counted():
    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

        def graphs(self, texts):
            assert 1 <= len(texts[0].split()) <= load_test.LONGEST

        edges = graphs

        def mixture(self, texts, weights):
            raise OSError("lost")

    with load_test.Load(Client, ["word"], clients=2) as load:
        load.warm_up(0)
        load.counting.set()
        while not (load.errors and load.seconds["edges"]):
            pass
    assert set(load.errors) == {"OSError: lost"}
    assert load.seconds["mixture"] == []


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_local_server_answers_several_clients(tmp_path, protocol):
    options = load_test.Options(
        out=tmp_path, clients=4, seconds=5, warmup_seconds=1, protocol=protocol
    )
    try:
        load_test.main(options)
    except SystemExit:
        pass  # after so short a warm-up the memory may still grow
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["errors"] == 0
    assert metrics["answers"] > 0
    assert metrics["server_megabytes_at_end"] > 100
    lines = (tmp_path / "memory.csv").read_text("utf-8").splitlines()
    assert lines[0] == "second,megabytes"
    assert len(lines) > 2
