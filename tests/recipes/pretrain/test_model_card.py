"""The model card of a predictor of words."""

import dataclasses
import json
import re
import shutil

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras import training
from glomo_keras.models import presets
from glomo_keras.utils.files import write_csv
from recipes.pretrain import evaluate as evaluate_pretrainer
from recipes.pretrain import model_card
from recipes.pretrain import ngram_baselines
from recipes.pretrain import steps
from tests.finished_run import make_run
from tests.finished_run import read_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = make_run(
        tmp_path_factory.mktemp("card"),
        precision="mixed_bfloat16",
        context_length=1,
    )
    evaluate_pretrainer.evaluate(evaluate_pretrainer.Options(run.out))
    ngram_baselines.measure(ngram_baselines.Options(run.out))
    return run


@pytest.fixture(scope="module")
def options(run):
    return model_card.Options(
        run=run.out,
        out=run.out.parent / "presets" / "tiny_en",
        note="Words drawn at random.",
    )


@pytest.fixture(scope="module")
def card(options):
    return model_card.make_preset(options).read_text("utf-8")


def test_preset_is_the_predictor_of_the_run_in_float32(run, options, card):
    copy = gk.GraphPredictor.from_preset(options.out)
    assert copy.dtype_policy.name == "float32"
    predictor = gk.GraphPredictor.from_preset(run.out / "preset")
    assert copy.vocabulary == predictor.vocabulary
    assert copy.tokenizer_config == predictor.tokenizer_config
    for ours, theirs in zip(copy.weights, predictor.weights, strict=True):
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w.value) for w in (ours, theirs))
        )


def test_card_shows_the_numbers_of_the_files(run, card):
    evaluation = read_json(run.out / "evaluation.json")
    row = evaluation["next_word_perplexity"]
    assert find_row(card, "this model, distance 1") == [
        f"{row[d]:.4g}" for d in ("forward", "backward")
    ]
    ngrams = read_json(run.out / "ngrams.json")["perplexity"]
    assert find_row(card, "bigram witten bell") == [
        f"{ngrams[d]['bigram witten_bell']:.4g}"
        for d in ("forward", "backward")
    ]
    assert find_row(card, "steps") == ["10"]
    assert find_row(card, "`precision`") == ["mixed_bfloat16"]
    assert "Words drawn at random." in card
    assert "$" not in card


def find_row(card, label):
    (line,) = re.findall(rf"^\| {label} +\|.*$", card, re.MULTILINE)
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_whole_pretrainer_in_half_precision(run, options, tmp_path):
    (run.out / "transfer").mkdir()
    (run.out / "transfer" / "table.md").write_text("| learned | 1.5 |\n")
    options = dataclasses.replace(
        options, out=tmp_path / "whole", whole=True, half=True
    )
    card = model_card.make_preset(options).read_text("utf-8")
    assert "stored in float16" in card
    assert "\n| learned | 1.5 |\n" in card
    pretrainer = gk.ContextPretrainer.from_preset(options.out)
    whole = gk.ContextPretrainer.from_preset(run.out / "pretrainer")
    for ours, theirs in zip(pretrainer.weights, whole.weights, strict=True):
        expected = keras.ops.convert_to_numpy(theirs.value).astype("float16")
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours.value), expected
        )
    predictor = gk.GraphPredictor.from_preset(options.out)
    assert predictor.vocabulary == pretrainer.graph_predictor.vocabulary


def test_card_has_the_probes_that_lie_in_the_run(run, options, tmp_path):
    (run.out / "probes.md").write_text("## Probes\n\nOf heads.\n")
    options = dataclasses.replace(options, out=tmp_path / "probed")
    card = model_card.make_preset(options).read_text("utf-8")
    (run.out / "probes.md").unlink()
    assert "## Probes\n\nOf heads.\n\n## Data" in card


def test_measurements_of_other_weights_are_refused(run, options, tmp_path):
    measured = shutil.copytree(run.out, tmp_path / "run")
    (measured / "transfer").mkdir(exist_ok=True)
    digest = presets.weights_digest(measured / "preset")
    options = dataclasses.replace(
        options, run=measured, out=tmp_path / "preset"
    )

    def make(probes=digest, transfer=digest):
        (measured / "probes.json").write_text(json.dumps({"weights": probes}))
        settings = json.dumps({"data": {"predictor": transfer}})
        rows = [{"seed": 0, "settings": settings}]
        write_csv(measured / "transfer" / "runs.csv", rows)
        model_card.make_preset(options)

    make()
    for changed in ({"probes": "f00"}, {"transfer": "f00"}):
        with pytest.raises(ValueError, match="is of other weights.*f00"):
            make(**changed)


def test_a_new_run_in_the_folder_leaves_no_measurement_of_the_old(tmp_path):
    folder = training.RunFolder(tmp_path, steps.RESULTS)
    with folder.start({"seed": 0}):
        pass
    for name in ("probes.md", "probes.json", "heads.csv", "ngrams.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "transfer").mkdir()
    with folder.start({"seed": 1}, overwrite=True):
        left = {path.name for path in tmp_path.iterdir()}
    assert left <= {".lock", "config.json", "figures", "tensorboard"}


def test_example_of_the_card_runs(options, card):
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace(f'"{options.out.name}"', repr(str(options.out)))
    names = {}
    exec(code, names)  # noqa: S102
    assert names["graphs"]["forward_graphs"].shape == (1, 2, 2, 7, 7)


def test_preset_over_the_limit_is_refused(options, tmp_path):
    small = dataclasses.replace(
        options, out=tmp_path / "big", max_megabytes=0.01
    )
    with pytest.raises(ValueError, match="larger than 0.01 MB.*Received: "):
        model_card.make_preset(small)
    assert not small.out.exists()


def test_incomplete_runs_are_refused(run, options, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("config.json", "metrics.json"):
        (tmp_path / "run" / name).write_bytes((run.out / name).read_bytes())
    with pytest.raises(ValueError, match="not evaluated.*evaluation.json"):
        model_card.make_preset(
            dataclasses.replace(options, run=tmp_path / "run")
        )
