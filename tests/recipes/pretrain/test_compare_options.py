"""The comparison of pretraining options on a tiny text."""

import csv
import dataclasses

import keras
import pytest

from recipes.pretrain import compare_options
from tests.finished_run import SIZES
from tests.finished_run import write_text


@pytest.fixture
def options(tmp_path):
    path = tmp_path / "text.txt"
    write_text(path)
    yield compare_options.Options(
        corpus=(str(path),),
        out=tmp_path / "choices",
        cache=tmp_path / "cache",
        variants=("base", "learning_rate_8e-3"),
        cpu_minutes=1e-4,
        precision="float32",
        windows=5,
        **{**SIZES, "num_positions": 4, "num_candidates": 0},
    )
    keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_variants_are_trained_once_and_compared(options, capsys):
    rows = compare_options.main(options)
    assert [row["variant"] for row in rows] == list(options.variants)
    for row in rows:
        assert row["steps"] >= 1
        # A few steps from random weights: about as likely as any word.
        assert 5 < row["forward_perplexity"] < 40
        assert len(row["density"].split()) == SIZES["num_graph_layers"]
    with open(options.out / "choices.csv", newline="") as file:
        assert [r["variant"] for r in csv.DictReader(file)] == [
            "base",
            "learning_rate_8e-3",
        ]
    capsys.readouterr()
    assert compare_options.main(options) == rows
    assert capsys.readouterr().out.count("Finished before") == 2
    other = dataclasses.replace(options, cpu_minutes=60.0)
    with pytest.raises(ValueError, match="was 0.0001 in this folder"):
        compare_options.main(other)


def test_unknown_variant_is_refused_before_any_work(options):
    options.variants = ("base", "learning_rate_9")
    with pytest.raises(ValueError, match="--variants is among.*Received"):
        compare_options.main(options)
    assert not options.out.exists()
