import csv
import json

import keras
import pytest

from recipes.pretrain import compare_options as compare_pretraining
from recipes.pretrain import text as pretrain_text
from tests.finished_run import SIZES
from tests.finished_run import write_text

ROW = {"variant": "base", "seed": 0, "forward_perplexity": 12.5}


@pytest.fixture
def options(tmp_path, monkeypatch):
    small = {**pretrain_text.CONFIGS["small"], **SIZES}
    small |= {"num_positions": 4, "num_candidates": 0}
    monkeypatch.setitem(pretrain_text.CONFIGS, "small", small)
    path = tmp_path / "text.txt"
    write_text(path)
    yield compare_pretraining.Options(
        corpus=(str(path),),
        out=tmp_path / "choices",
        cache=tmp_path / "cache",
        variants=("base",),
        cpu_minutes=1e-4,
        precision="float32",
        windows=5,
    )
    keras.config.set_dtype_policy("float32")


def test_a_variant_is_trained_for_the_steps_that_its_budget_is_worth(
    options, monkeypatch
):
    seconds = 60 * options.cpu_minutes / 3.5  # three whole steps fit
    monkeypatch.setattr(
        compare_pretraining, "measure_step", lambda *args: seconds
    )
    row = compare_pretraining.train_variant(options, "learning_rate_8e-3", 1)
    assert (row["variant"], row["seed"]) == ("learning_rate_8e-3", 1)
    assert json.loads(row["changes"]) == {"learning_rate": 8e-3}
    assert row["steps"] == 3
    assert row["words"] == 3 * 4 * 12 * 3 // 4
    # Three steps from random weights: about as likely as any of the words.
    assert 5 < row["forward_perplexity"] < 40
    assert 5 < row["backward_perplexity"] < 40
    assert keras.config.dtype_policy().name == "float32"
    assert len(row["density"].split()) == 3  # graph layers


def test_the_time_of_a_step_leaves_out_what_comes_before(options, monkeypatch):
    asked = []

    def fit(settings, corpus, steps, skip=0):
        asked.append((steps, skip))
        return None, 6.0

    monkeypatch.setattr(compare_pretraining, "fit", fit)
    monkeypatch.setattr(compare_pretraining, "CALIBRATION_STEPS", (2, 3))
    assert compare_pretraining.measure_step(None, None) == 2.0
    assert asked == [(5, 2)]


def test_what_was_run_is_not_run_again(options, monkeypatch):
    def run(*args, **kwargs):
        raise AssertionError("a training was started")

    monkeypatch.setattr(compare_pretraining.subprocess, "run", run)
    options.out.mkdir()
    (options.out / "base-0.json").write_text(json.dumps(ROW))
    compare_pretraining.main(options)
    with open(options.out / "choices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in ROW.items()}]
    options.cpu_minutes = 60.0
    with pytest.raises(ValueError, match="cpu_minutes: 0.0001 there, 60.0 now"):
        compare_pretraining.main(options)


def test_an_unknown_variant_is_refused_before_anything_is_run(options):
    options.variants = ("base", "learning_rate_9")
    with pytest.raises(SystemExit, match=r"Received: \['learning_rate_9'\]"):
        compare_pretraining.main(options)
    assert not options.out.exists()
