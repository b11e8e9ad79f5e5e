import csv
import dataclasses
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import glomo_keras as gk
from recipes.tasks import imdb
from recipes.tasks import run
from recipes.tuning import chief
from recipes.tuning import predictors
from recipes.tuning import search
from recipes.tuning.options import Options
from recipes.tuning.options import task_options
from recipes.tuning.trials import Trials

pytestmark = [
    # KerasTuner 1.4.8: `threading.currentThread().getName()`.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
    # Keras itself, under numpy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
]
ROOT = pathlib.Path(__file__).resolve().parents[3]
GOOD, BAD = "good great fine lovely".split(), "bad poor awful dull".split()
OTHERS = "the film was a story of cat and dog".split()
WORDS = GOOD + BAD + OTHERS


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Reviews, word vectors, a predictor and a corpus, all tiny."""
    folder = tmp_path_factory.mktemp("files")
    rng = random.Random(0)
    for split, number in (("train", 20), ("test", 5)):
        for label, words in (("neg", BAD), ("pos", GOOD)):
            reviews = folder / "aclImdb" / split / label
            reviews.mkdir(parents=True)
            for i in range(number):
                text = rng.choices(words, k=2) + rng.choices(OTHERS, k=6)
                stars = 9 if label == "pos" else 1
                (reviews / f"{i}_{stars}.txt").write_text(" ".join(text))
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 6))
    lines = [
        " ".join([word, *(f"{x:.3f}" for x in row)])
        for word, row in zip(WORDS, vectors, strict=True)
    ]
    (folder / "vectors.txt").write_text("\n".join(lines) + "\n")
    lines = [" ".join(rng.choices(WORDS, k=30)) + "." for _ in range(60)]
    (folder / "corpus.txt").write_text("\n\n".join(lines))
    make_predictor(WORDS).save_to_preset(folder / "preset")
    return folder


def make_predictor(words, num_graph_layers=2):
    predictor = gk.GraphPredictor(
        vocabulary_size=len(words) + 2,
        embedding_dim=8,
        num_heads=2,
        key_dim=4,
        num_conv_layers=1,
        num_graph_layers=num_graph_layers,
    )
    mask = np.ones((1, 3), "bool")
    predictor({"token_ids": np.ones((1, 3), "int32"), "padding_mask": mask})
    predictor.vocabulary = ["<pad>", "<unk>", *words]
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    return predictor


def options(files, out, **kwargs):
    return Options(
        **{
            "task": "imdb",
            "data_dir": files,
            "vectors": files / "vectors.txt",
            "predictor": str(files / "preset"),
            "out": out,
            "hidden_dim": 2,
            "epochs": 1,
            "batch_size": 16,
            "max_trials": 2,
            "predictor_cache": files / "predictors",
            **kwargs,
        }
    )


def small_model(trials, values):
    """Instead of the task's model: seconds less to trace."""
    task = trials.task_options(values)
    loaded = trials.loaded(task)
    inputs = {
        "word_ids": keras.Input((None,), dtype="int32", name="word_ids"),
        "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
    }
    embedded = loaded.features.layers()["word_ids"](inputs["word_ids"])
    pooled = keras.layers.GlobalAveragePooling1D()(embedded)
    keras.utils.set_random_seed(values["graph_units"])
    logits = keras.layers.Dense(2, name="logits")(pooled)
    model = keras.Model(inputs, {"logits": logits})
    imdb.compile_model(task, model)
    return model


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(Trials, "make_model", small_model)


def read_trials(out):
    with open(out / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_search_leaves_what_it_found(files, tmp_path, small, capsys):
    out = tmp_path / "out"
    metrics = search.main(options(files, out))
    rows = read_trials(out)
    assert [row["status"] for row in rows] == ["COMPLETED"] * 2
    assert float(rows[0]["score"]) >= float(rows[1]["score"])
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert metrics["best_trial"] == rows[0]["trial"]
    assert metrics["best_score"] == float(rows[0]["score"])
    assert metrics["trials"] == metrics["completed"] == 2
    assert metrics["failed"] == 0
    png = (out / "figures" / "trials.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    predictions = (out / "predictions.csv").read_text().splitlines()
    assert len(predictions) == 11
    printed = capsys.readouterr().out
    assert "trial  status" in printed
    assert "2 trials: 2 completed, 0 failed" in printed

    model = keras.saving.load_model(out / "best.keras")
    task = task_options(imdb, options(files, out))
    loaded = imdb.load(task)
    logits = run.predict(task, model, loaded.validation)["logits"]
    right = logits.argmax(-1) == loaded.validation.targets["logits"]
    assert right.mean() == pytest.approx(metrics["best_score"])

    search.main(options(files, out))
    assert "Finished before" in capsys.readouterr().out
    metrics = search.main(options(files, out, max_trials=3))
    assert metrics["trials"] == 3
    assert {row["trial"] for row in rows} < {
        row["trial"] for row in read_trials(out)
    }
    with pytest.raises(ValueError, match="other options"):
        search.main(options(files, out, hidden_dim=3))


def fail(*calls):
    """`Trials.train` that raises in some of its calls."""
    train, count = Trials.train, 0

    def training(*args, **kwargs):
        nonlocal count
        count += 1
        if count in calls:
            raise MemoryError(f"no memory for call {count}")
        return train(*args, **kwargs)

    return training


def test_failed_trials_are_counted_and_shown(
    files, tmp_path, small, monkeypatch, capsys
):
    monkeypatch.setattr(Trials, "train", fail(1))
    metrics = search.main(options(files, tmp_path))
    assert (metrics["completed"], metrics["failed"]) == (1, 1)
    rows = read_trials(tmp_path)
    assert rows[1]["error"] == "MemoryError: no memory for call 1"
    printed = capsys.readouterr().out
    assert "2 trials: 1 completed, 1 failed" in printed
    table = printed[printed.index("trial  status") :]
    assert "MemoryError: no memory for call 1" in table


def test_search_in_which_all_failed_exits(files, tmp_path, small, monkeypatch):
    monkeypatch.setattr(Trials, "train", fail(1, 2))
    with pytest.raises(SystemExit, match="(?s)No trial.*call 1.*call 2") as at:
        search.main(options(files, tmp_path))
    assert at.value.code not in (0, None)
    assert len(read_trials(tmp_path)) == 2
    assert not (tmp_path / "metrics.json").exists()
    # The same command finds the same trials, and does not pass either.
    with pytest.raises(SystemExit, match="call 1"):
        search.main(options(files, tmp_path))


def test_options_overwrite_a_search(files, tmp_path, small):
    search.main(options(files, tmp_path, max_trials=1))
    search.main(
        options(files, tmp_path, max_trials=1, hidden_dim=3, overwrite=True)
    )
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["hidden_dim"] == 3
    assert len(list(tmp_path.glob("trials-*"))) == 1
    assert len(read_trials(tmp_path)) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_trials": 0}, "max_trials=0"),
        ({"seed": -1}, "seed=-1"),
        ({"chief_minutes": 0}, "chief_minutes=0"),
        ({"data_dir": None}, "data_dir=None"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"vectors": pathlib.Path("nowhere")}, "vectors=nowhere"),
        ({"predictor": "nowhere"}, "nowhere"),
        ({"data_dir": pathlib.Path("nowhere")}, "data_dir='nowhere'"),
        ({"space": "context"}, r"without predictor=\[1, 3, 5\]"),
        ({"space": "all", "context_lengths": ()}, r"context_lengths=\(\)"),
        (
            {"space": "all", "context_lengths": (1,), "predictors": {2: "x"}},
            "without predictor",
        ),
        (
            {
                "space": "context",
                "context_lengths": (1,),
                "predictors": {1: "x", 2: "x"},
            },
            r"Received: \[2\]",
        ),
    ],
)
def test_bad_options_are_refused(changed, message, files, tmp_path):
    errors = (ValueError, FileNotFoundError)
    with pytest.raises(errors, match=message):
        search.main(options(files, tmp_path / "out", **changed))
    assert not (tmp_path / "out").exists()


def test_predictors_of_different_depth_are_no_common_space(files, tmp_path):
    make_predictor(WORDS, 1).save_to_preset(tmp_path / "preset")
    given = {1: str(files / "preset"), 3: str(tmp_path / "preset")}
    with pytest.raises(ValueError, match="same number of graph layers"):
        search.main(
            options(
                files,
                tmp_path / "out",
                space="all",
                context_lengths=(1, 3),
                predictors=given,
            )
        )


def test_each_vocabulary_has_its_own_ids(files, tmp_path):
    other = tmp_path / "preset"
    make_predictor(WORDS[::-1]).save_to_preset(other)
    given = {1: files / "preset", 2: other, 3: files / "preset"}
    trials = Trials(options(files, tmp_path), imdb, given)
    loaded = [
        trials.loaded(trials.task_options({"context_length": length}))
        for length in given
    ]
    assert loaded[0] is loaded[2]
    first, second = (x.train.tables["token_ids"] for x in loaded[:2])
    assert not np.array_equal(first, second)


def test_none_is_what_the_recipe_has(files, tmp_path):
    given = options(files, tmp_path, epochs=None, hidden_dim=None)
    task = task_options(imdb, given, dropout=0.2)
    defaults = {x.name: x.default for x in dataclasses.fields(imdb.Options)}
    for name in ("epochs", "hidden_dim", "learning_rate", "products"):
        assert getattr(task, name) == defaults[name]
    assert task.dropout == 0.2
    assert task.batch_size == 16


def test_a_predictor_is_pretrained_once(files, monkeypatch):
    calls = []

    def pretrain(pretraining):
        calls.append(pretraining.context_length)
        pretraining.out.mkdir(parents=True)
        (pretraining.out / "metrics.json").write_text("{}")

    monkeypatch.setattr(predictors.pretrain_text, "pretrain", pretrain)
    corpus = files / "own_corpus.txt"
    corpus.write_text((files / "corpus.txt").read_text())
    given = options(
        files,
        files,
        space="context",
        context_lengths=(1, 2, 3),
        corpus=(str(corpus),),
        predictors={2: "mine"},
    )
    places = predictors.prepare(given)
    assert places == predictors.prepare(given) == predictors.planned(given)
    assert calls == [1, 3]
    assert places[2] == "mine"
    assert "context-1-" in places[1]
    corpus.write_text("Another text, which was not there before.")
    assert predictors.planned(given)[1] != places[1]
    more = dataclasses.replace(given, pretrain_epochs=5)
    assert predictors.planned(more)[1] != predictors.planned(given)[1]


def test_roles_follow_the_environment(monkeypatch):
    assert not chief.is_chief()
    assert not chief.is_worker()
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    for name, role in (("chief", (True, False)), ("tuner0", (False, True))):
        monkeypatch.setenv("KERASTUNER_TUNER_ID", name)
        assert (chief.is_chief(), chief.is_worker()) == role


def command(files, out, *more):
    made = {
        "task": "imdb",
        "data-dir": files,
        "vectors": files / "vectors.txt",
        "predictor": files / "preset",
        "out": out,
        "hidden-dim": 2,
        "epochs": 1,
        "batch-size": 16,
        "predictor-cache": files / "predictors",
    }
    flags = [x for name, value in made.items() for x in (f"--{name}", value)]
    return [sys.executable, "-m", "recipes.tuning.search", *flags, *more]


@pytest.fixture
def start():
    """Starts processes; none outlives the test."""
    processes = []

    def run(arguments, log, **environment):
        with open(log, "w") as output:
            process = subprocess.Popen(
                list(map(str, arguments)),
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    **environment,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.wait()


def wait_for(pattern, folder, process, seconds=1800):
    end = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert process.poll() is None, "ended before"
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_killed_context_search_goes_on(files, tmp_path, start):
    """Real models and pretraining; SIGKILL in the second trial."""
    arguments = command(
        files,
        tmp_path / "out",
        *("--space", "context", "--max-trials", "3"),
        *("--context-lengths", "1", "2", "--corpus", files / "corpus.txt"),
        *("--pretrain-steps-per-epoch", "2", "--pretrain-epochs", "1"),
    )
    process = start(arguments, tmp_path / "log")
    wait_for("out/trials-*/trial_1/trial.json", tmp_path, process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = next((tmp_path / "out").glob("trials-*/trial_0/outcome.json"))
    before = done.stat().st_mtime_ns
    process = start(arguments, tmp_path / "log")
    assert process.wait(1800) == 0, (tmp_path / "log").read_text()[-3000:]
    assert done.stat().st_mtime_ns == before
    rows = read_trials(tmp_path / "out")
    assert sorted(row["trial"] for row in rows) == ["0", "1", "2"]
    assert {row["status"] for row in rows} == {"COMPLETED"}
    assert {row["context_length"] for row in rows} <= {"1", "2"}
    keras.saving.load_model(tmp_path / "out" / "best.keras")
    kept = list((files / "predictors").glob("context-*/preset"))
    assert len(kept) == 2


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def distributed(port, name):
    return {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": port,
        "KERASTUNER_TUNER_ID": name,
    }


@pytest.mark.slow
def test_chief_and_worker(files, tmp_path, start):
    out, port = tmp_path / "out", free_port()
    arguments = command(files, out, "--max-trials", "2")
    processes = {
        name: start(arguments, tmp_path / name, **distributed(port, name))
        for name in ("chief", "tuner0")
    }
    for name, process in processes.items():
        assert process.wait(1800) == 0, (tmp_path / name).read_text()[-3000:]
    rows = read_trials(out)
    assert {row["worker"] for row in rows} == {"tuner0"}
    assert {row["status"] for row in rows} == {"COMPLETED"}
    keras.saving.load_model(out / "best.keras")
    assert json.loads((out / "metrics.json").read_text())["trials"] == 2


@pytest.mark.slow
def test_chief_gives_up_when_its_worker_dies(files, tmp_path, start):
    out, port = tmp_path / "out", free_port()
    arguments = command(files, out, "--max-trials", "2")
    impatient = [*arguments, "--chief-minutes", "2"]
    worker = start(arguments, tmp_path / "worker", **distributed(port, "w"))
    head = start(impatient, tmp_path / "head", **distributed(port, "chief"))
    wait_for("out/trials-*/trial_0/trial.json", tmp_path, head)
    worker.kill()
    worker.wait()
    assert head.wait(1800) == 1
    end = (tmp_path / "head").read_text()
    assert "No trial completed" in end
    assert "No worker was heard of for 2 minutes" in end

    # Both again: the search goes on, with the trial that was begun.
    processes = {
        name: start(arguments, tmp_path / name, **distributed(port, name))
        for name in ("chief", "another")
    }
    for name, process in processes.items():
        assert process.wait(1800) == 0, (tmp_path / name).read_text()[-3000:]
    rows = read_trials(out)
    assert sorted(row["trial"] for row in rows) == ["0", "1"]
    assert {row["worker"] for row in rows} == {"another"}
