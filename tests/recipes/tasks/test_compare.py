"""Comparison of runs over seeds."""

import csv
import json
import math
import re

import pytest

from recipes.tasks import compare

TOLERANCE = 1e-9


def write_run(folder, values, **others):
    for seed, value in values.items():
        path = folder / f"seed-{seed}"
        path.mkdir(parents=True)
        metrics = {"seed": seed, "test_accuracy": value, "words": 7, **others}
        (path / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def runs(tmp_path):
    return (
        write_run(tmp_path / "none", {0: 0.5, 1: 0.6, 2: 0.7}),
        write_run(tmp_path / "glomo", {0: 0.52, 1: 0.61, 2: 0.75, 9: 0.1}),
    )


def test_differences_are_paired_by_seed(runs, tmp_path, capsys):
    options = compare.Options(runs, scale=100.0, out=tmp_path / "out")
    none, glomo = compare.main(options)
    assert (none["seeds"], glomo["seeds"], glomo["pairs"]) == (3, 4, 3)
    assert none["mean"] == pytest.approx(60.0, abs=TOLERANCE)
    assert none["std"] == pytest.approx(10.0, abs=TOLERANCE)
    # Differences 2, 1, 5: mean 8/3, deviation sqrt(13/3), t(2; 0.975) 4.3027.
    reach = 4.302652729911275 * math.sqrt(13 / 3) / math.sqrt(3)
    assert glomo["difference"] == pytest.approx(8 / 3, abs=TOLERANCE)
    assert glomo["low"] == pytest.approx(8 / 3 - reach, abs=1e-6)
    assert glomo["high"] == pytest.approx(8 / 3 + reach, abs=1e-6)
    assert 0.05 < glomo["p"] < 0.2  # zero is just inside the interval
    printed = capsys.readouterr().out
    assert re.search(r"test_accuracy +\S*glomo +4 .* 2\.667 ", printed)
    with open(tmp_path / "out" / "compare.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["difference"]) == glomo["difference"]
    assert rows[0]["difference"] == ""
    assert (tmp_path / "out" / "compare.png").stat().st_size > 1000


def test_one_seed_has_no_interval(tmp_path):
    one = write_run(tmp_path / "one", {0: 0.5})
    two = write_run(tmp_path / "two", {0: 0.6})
    out = tmp_path / "out"
    _, row = compare.main(compare.Options((one, two), out=out))
    assert row["difference"] == pytest.approx(0.1)
    assert math.isnan(row["low"]) and math.isnan(row["p"])


def test_equal_runs_differ_by_zero(tmp_path):
    one = write_run(tmp_path / "one", {0: 0.5, 1: 0.7})
    two = write_run(tmp_path / "two", {0: 0.5, 1: 0.7})
    out = tmp_path / "out"
    _, row = compare.main(compare.Options((one, two), out=out))
    assert (row["difference"], row["low"], row["high"]) == (0, 0, 0)


def test_other_options_and_data_are_said(runs, tmp_path, capsys):
    for run, graph, limit in zip(
        runs, ("none", "predicted"), (9, 10), strict=True
    ):
        for seed in (0, 1):
            path = run / f"seed-{seed}"
            config = {"graph": graph, "limit": limit, "seed": seed, "epochs": 2}
            (path / "config.json").write_text(json.dumps(config))
            (path / "data.json").write_text(json.dumps({"train": limit}))
    compare.main(compare.Options(runs, out=tmp_path / "out"))
    printed = capsys.readouterr().out
    assert "The runs differ in graph, limit of config.json." in printed
    assert "The runs differ in train of data.json." in printed


def test_bad_runs_are_named(runs, tmp_path):
    none, glomo = runs
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="two different runs"):
        compare.main(compare.Options((none,), out=out))
    with pytest.raises(ValueError, match="two different runs"):
        compare.main(compare.Options((none, none), out=out))
    with pytest.raises(ValueError, match="seed-N/metrics.json.*out"):
        compare.main(compare.Options((none, out), out=out))
    with pytest.raises(ValueError, match="f1=None in seed 0"):
        compare.main(compare.Options(runs, metrics=("f1",), out=out))
    other = tmp_path / "other"
    (other / "seed-0").mkdir(parents=True)
    (other / "seed-0/metrics.json").write_text('{"seed": 0, "f1": 0.5}')
    with pytest.raises(ValueError, match="no metric in common.*Received"):
        compare.main(compare.Options((none, other), out=out))
    assert not out.exists()
