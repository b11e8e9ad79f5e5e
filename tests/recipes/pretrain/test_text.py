"""The recipe of pretraining on text that the tests write."""

import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import glomo_keras as gk
from recipes.pretrain import text as pretrain_text
from recipes.pretrain.text_options import CONFIGS
from tests.recipes.resuming import check_resumed

ROOT = pathlib.Path(__file__).parents[3]
WORDS = "the cat sat on a mat while two dogs ran after one small bird".split()
TINY = {
    "vocabulary_size": 40,
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 4,
    "num_conv_layers": 1,
    "num_graph_layers": 1,
    "context_length": 1,
    "num_positions": 4,
    "dropout": 0.1,
    "max_length": 12,
    "batch_size": 4,
    "validation_steps": 1,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=30)) + "." for _ in range(60)]
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n\n".join(lines))
    return path


def options(corpus, folder, **kwargs):
    kwargs = {**TINY, "epochs": 2, "steps_per_epoch": 2, **kwargs}
    return pretrain_text.Options(
        corpus=(str(corpus),),
        out=folder / "run",
        cache=folder / "cache",
        **kwargs,
    )


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A finished run."""
    run = options(corpus, tmp_path_factory.mktemp("run"))
    pretrain_text.pretrain(run)
    yield run
    keras.config.set_dtype_policy("float32")


def test_run_leaves_its_folder(run):
    names = ["config.json", "history.csv", "metrics.json", "pretrainer"]
    assert all((run.out / name).exists() for name in names)
    assert len((run.out / "history.csv").read_text().splitlines()) == 3
    metrics = json.loads((run.out / "metrics.json").read_text())
    assert metrics["steps"] == 4
    assert 0 <= metrics["edge_density"] <= 1
    assert metrics["val_forward_perplexity"] < 60
    assert len(list((run.out / "figures").glob("*_graphs.png"))) == 2


def test_presets_hold_the_same_predictor(run):
    predictor = gk.GraphPredictor.from_preset(run.out / "preset")
    assert predictor.vocabulary[:2] == ["<pad>", "<unk>"]
    assert predictor.tokenizer_config == {
        "lowercase": True,
        "numbers": "N",
        "normalize_unicode": True,
    }
    pretrainer = gk.ContextPretrainer.from_preset(run.out / "pretrainer")
    for ours, theirs in zip(
        predictor.weights, pretrainer.graph_predictor.weights, strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.slow
def test_resumed_run_ends_in_the_files_of_the_uninterrupted_one(run):
    check_resumed(
        lambda: pretrain_text.pretrain(run),
        run.out,
        ("history.csv", "metrics.json"),
    )


def test_finished_run_is_not_trained_again(run, capsys):
    before = (run.out / "history.csv").stat().st_mtime_ns
    pretrain_text.pretrain(run)
    assert (run.out / "history.csv").stat().st_mtime_ns == before
    assert "Finished before" in capsys.readouterr().out


def test_a_run_starts_from_the_weights_and_vocabulary_of_another(
    corpus, run, tmp_path
):
    text = corpus.read_text().replace("small", "large")
    other = tmp_path / "other.txt"
    other.write_text(text)
    start = {"start_from": run.out / "pretrainer"}
    goes_on = options(
        other,
        tmp_path,
        learning_rate=1e-9,
        rotary_heads="even",
        messages="mixture",
        **start,
    )
    pretrain_text.pretrain(goes_on)
    before, after = (
        gk.ContextPretrainer.from_preset(each.out / "pretrainer")
        for each in (run, goes_on)
    )
    assert after.graph_predictor.vocabulary == before.graph_predictor.vocabulary
    there = {weight.path: weight for weight in before.trainable_weights}
    fresh = []
    for weight in after.trainable_weights:
        if weight.path in there:
            known = there[weight.path].numpy()
            np.testing.assert_allclose(weight.numpy(), known, atol=1e-6)
        else:
            fresh.append(weight.path)
    assert fresh == [
        f"{direction}_mixture/{name}"
        for direction in ("forward", "backward")
        for name in ("logits", "kernel")
    ]
    rotated = [[False, True]]
    assert after.graph_predictor.rotary_heads["forward"] == rotated
    wider = options(corpus, tmp_path / "wider", key_dim=6, **start)
    with pytest.raises(ValueError, match="key_dim=4 there, 6 now"):
        pretrain_text.pretrain(wider)
    cased = options(corpus, tmp_path / "cased", lowercase=False, **start)
    with pytest.raises(ValueError, match="--lowercase is that of --start"):
        pretrain_text.pretrain(cased)
    other_split = dataclasses.replace(goes_on, seed=run.seed + 1)
    with pytest.warns(UserWarning, match="seed 0 there, 1 now"):
        pretrain_text.check(pretrain_text.resolve(other_split))
    own = dataclasses.replace(run, overwrite=True, **start)
    with pytest.raises(ValueError, match="--start-from is a preset of another"):
        pretrain_text.pretrain(own)
    assert own.start_from.exists()
    again = pretrain_text.read_run(goes_on.out)
    assert again.start_from == goes_on.out / "pretrainer"
    vocabulary = after.graph_predictor.vocabulary
    assert pretrain_text.load(again).vocabulary == vocabulary


def test_other_options_in_the_same_folder_are_refused(run):
    other = dataclasses.replace(run, embedding_dim=10)
    with pytest.raises(ValueError, match="embedding_dim: 8 there, 10 now"):
        pretrain_text.pretrain(other)


def test_missing_corpus_is_named_before_any_work(tmp_path):
    run = options(tmp_path / "nowhere.txt", tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere.txt"):
        pretrain_text.pretrain(run)


def test_options_out_of_range_are_refused_before_any_work(corpus, tmp_path):
    for name, value in (
        ("epochs", 0),
        ("learning_rate", -1.0),
        ("patience", 0),
        ("validation_steps", -1),
        ("steps_per_execution", 0),
        ("num_candidates", -3),
        ("num_positions", -3),
        ("max_length", 5),
        ("validation_fraction", 0),
        ("num_heads", 3),
    ):
        flag = "--" + name.replace("_", "-")
        with pytest.raises(ValueError, match=f"{flag} is .*{name}={value}"):
            pretrain_text.pretrain(options(corpus, tmp_path, **{name: value}))
    with pytest.raises(ValueError, match="--steps-per-execution divides"):
        pretrain_text.pretrain(options(corpus, tmp_path, steps_per_execution=3))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_time_limit_leaves_presets_and_goes_on(corpus, run, tmp_path):
    limited = options(corpus, tmp_path, minutes=0.0)
    preset = pretrain_text.pretrain(limited)
    gk.GraphPredictor.from_preset(preset)
    gk.ContextPretrainer.from_preset(limited.out / "pretrainer")
    assert not (limited.out / "metrics.json").exists()
    assert len((limited.out / "history.csv").read_text().splitlines()) == 2
    pretrain_text.pretrain(dataclasses.replace(limited, minutes=None))
    for name in ("history.csv", "metrics.json"):
        ours, theirs = (x.out / name for x in (limited, run))
        assert ours.read_text() == theirs.read_text()


@pytest.mark.slow
def test_text_that_has_changed_is_not_gone_on_with(corpus, tmp_path):
    """A vocabulary of the same size, in which ids are other words."""
    folder = tmp_path / "texts"
    folder.mkdir()
    text = corpus.read_text()
    (folder / "a.txt").write_text(text)
    run = options(folder, tmp_path, minutes=0.0)
    pretrain_text.pretrain(run)
    (folder / "b.txt").write_text(text.replace("bird", "wing"))
    with pytest.raises(ValueError, match="data have changed.*\n.*vocabulary"):
        pretrain_text.pretrain(run)


@pytest.mark.slow
def test_a_diverged_training_leaves_no_preset(corpus, tmp_path):
    run = options(corpus, tmp_path, learning_rate=1e38)
    with pytest.raises(RuntimeError, match="diverged in epoch 1"):
        pretrain_text.pretrain(run)
    assert not (run.out / "preset").exists()
    assert not (run.out / "metrics.json").exists()


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_resolve_to_complete_options(name, tmp_path):
    run = pretrain_text.resolve(
        pretrain_text.Options(
            corpus=("x",), out=tmp_path, config=name, embedding_dim=96
        )
    )
    assert None not in {getattr(run, key) for key in CONFIGS[name]}
    assert run.embedding_dim == 96


@pytest.mark.parametrize("patience, epochs", [(None, 30), (4, 4)])
def test_training_ends_early_only_if_told(corpus, tmp_path, patience, epochs):
    run = options(corpus, tmp_path, epochs=30, patience=patience)
    *_, best = pretrain_text.make_callbacks(pretrain_text.resolve(run))
    assert best.patience == epochs and best.restore_best_weights


def test_released_schedule_stops_below_a_hundredth():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(8.0), loss="mse")
    callback = pretrain_text.StopBelowLearningRate(0.08)
    callback.set_model(model)
    for halvings, stopped in ((6, False), (7, True)):
        model.stop_training = False
        model.optimizer.learning_rate = 8.0 / 2**halvings
        callback.on_epoch_end(0)
        assert model.stop_training == stopped


def start(out, **flags):
    """The recipe in a process of its own."""
    command = [sys.executable, "-m", "recipes.pretrain.text", "--out", out]
    for name, value in flags.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_killed_run_ends_in_the_weights_of_the_uninterrupted_one(
    corpus, tmp_path
):
    """Killed by SIGKILL, three times, somewhere in an epoch."""
    flags = {**TINY, "steps_per_epoch": 20, "epochs": 15, "corpus": corpus}
    flags["cache"] = tmp_path / "cache"
    assert start(tmp_path / "whole", **flags).wait() == 0
    rng = random.Random(1)
    for goal in sorted(rng.sample(range(2, 14), 3)):
        process = start(tmp_path / "killed", **flags)
        checkpoints = tmp_path / "killed/checkpoint"
        while not (checkpoints / f"checkpoint-{goal:08d}.npz").exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(rng.random() * 0.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(tmp_path / "killed", **flags).wait() == 0
    whole, killed = (
        gk.ContextPretrainer.from_preset(tmp_path / out / "pretrainer")
        for out in ("whole", "killed")
    )
    for a, b in zip(whole.weights, killed.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
    histories = [
        (tmp_path / out / "history.csv").read_text()
        for out in ("whole", "killed")
    ]
    assert histories[0] == histories[1]
