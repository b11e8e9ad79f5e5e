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
import pandas
import pytest

import glomo_keras as gk
from recipes.tasks import imdb
from recipes.tasks import mnli
from recipes.tuning import search

pytestmark = [
    # KerasTuner 1.4.8: `threading.currentThread().getName()`.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]
ROOT = pathlib.Path(__file__).resolve().parents[3]
GOOD, BAD = "good great fine lovely".split(), "bad poor awful dull".split()
OTHERS = "the film was a story of cat and dog".split()
WORDS = GOOD + BAD + OTHERS


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Reviews, word vectors and predictors, all tiny."""
    folder = tmp_path_factory.mktemp("files")
    rng = random.Random(0)
    for split, number in (("train", 12), ("test", 5)):
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
    write_predictor(folder / "preset", WORDS)
    write_predictor(folder / "reversed", WORDS[::-1])
    write_predictor(folder / "flat", WORDS, num_graph_layers=1)
    return folder


def write_predictor(folder, words, num_graph_layers=2):
    predictor = gk.GraphPredictor(
        vocabulary_size=len(words) + 2,
        embedding_dim=8,
        num_heads=2,
        key_dim=4,
        num_conv_layers=1,
        num_graph_layers=num_graph_layers,
    )
    predictor.vocabulary = ["<pad>", "<unk>", *words]
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    predictor.save_to_preset(folder)


def options(files, out, **changed):
    return search.Options(
        **{
            "task": "imdb",
            "data_dir": files,
            "vectors": files / "vectors.txt",
            "predictor": str(files / "preset"),
            "out": out,
            "hidden_dim": 2,
            "max_length": 6,
            "epochs": 1,
            "batch_size": 16,
            "max_trials": 2,
            **changed,
        }
    )


def test_search_leaves_its_trials_and_the_best_model(files, tmp_path, capsys):
    out = tmp_path / "out"
    metrics = search.main(options(files, out, max_trials=1))
    table = pandas.read_csv(out / "trials.csv")
    assert table["status"].tolist() == ["COMPLETED"]
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert int(metrics["best_trial"]) == table["trial"][0]
    assert metrics["best_score"] == pytest.approx(table["score"][0])
    assert (metrics["trials"], metrics["failed"]) == (1, 0)
    png = (out / "figures" / "trials.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert "COMPLETED" in capsys.readouterr().out

    best = out / f"best-{metrics['best_trial']}"
    assert len((best / "predictions.csv").read_text().splitlines()) == 11
    model = keras.saving.load_model(best / "best.keras")
    task = search.Trials(options(files, out), imdb).task_options({})
    loaded = imdb.load(task)
    inputs, targets = loaded.tests["test"].take(range(10))
    right = model.predict_on_batch(inputs)["logits"].argmax(-1)
    accuracy = (right == targets["logits"]).mean()
    assert metrics["test_accuracy"] == pytest.approx(accuracy)

    search.main(options(files, out, max_trials=1))
    assert "Finished before" in capsys.readouterr().out
    with pytest.raises(ValueError, match="other options"):
        search.main(options(files, out, max_trials=1, hidden_dim=3))
    write_predictor(files / "preset", WORDS)  # with other weights
    with pytest.raises(ValueError, match="data have changed.*\n.*predictor"):
        search.main(options(files, out))


@pytest.mark.slow
def test_search_goes_on_with_more_trials(files, tmp_path):
    assert search.main(options(files, tmp_path, max_trials=1))["trials"] == 1
    metrics = search.main(options(files, tmp_path))
    table = pandas.read_csv(tmp_path / "trials.csv")
    assert table["status"].tolist() == ["COMPLETED"] * 2
    assert table["score"].is_monotonic_decreasing
    assert (metrics["trials"], metrics["failed"]) == (2, 0)


@pytest.mark.slow
def test_search_in_which_all_trials_fail_exits(files, tmp_path, capsys):
    # The only step of the only epoch diverges.
    given = options(
        files, tmp_path, max_trials=1, batch_size=32, learning_rate=1e38
    )
    with pytest.raises(SystemExit, match="No trial completed"):
        search.main(given)
    assert "not finite" in capsys.readouterr().out
    table = pandas.read_csv(tmp_path / "trials.csv")
    assert table["status"].tolist() == ["FAILED"]
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_trials": 0}, "max_trials=0"),
        ({"seed": -1}, "seed=-1"),
        ({"data_dir": None}, "data_dir=None"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"vectors": pathlib.Path("nowhere")}, "vectors=nowhere"),
        ({"predictor": "nowhere"}, "nowhere"),
        ({"space": "context"}, "predictors={}"),
        ({"space": "all"}, "predictors={}"),
        ({"predictors": {1: "x"}}, "predictors={1: 'x'}"),
        ({"space": "context", "predictors": {0: "x"}}, "predictors={0: 'x'}"),
        ({"space": "context", "predictors": {1: "nowhere"}}, "nowhere"),
    ],
)
def test_bad_options_are_refused(changed, message, files, tmp_path):
    with pytest.raises(ValueError, match=message):
        search.main(options(files, tmp_path / "out", **changed))
    assert not (tmp_path / "out").exists()


def test_predictors_of_different_depth_are_no_common_space(files, tmp_path):
    given = {1: str(files / "preset"), 3: str(files / "flat")}
    with pytest.raises(ValueError, match="same number of graph layers"):
        search.main(
            options(files, tmp_path / "out", space="all", predictors=given)
        )


def test_each_vocabulary_has_its_own_ids(files, tmp_path):
    names = {1: "preset", 2: "reversed", 3: "preset"}
    given = options(
        files,
        tmp_path,
        space="context",
        predictors={length: str(files / x) for length, x in names.items()},
    )
    trials = search.Trials(given, imdb)
    loaded = [
        trials.load(trials.task_options({"context_length": length}))
        for length in names
    ]
    assert loaded[0] is loaded[2]
    first, second = (x.train.tables["token_ids"] for x in loaded[:2])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("recipe", [imdb, mnli])
def test_values_of_a_trial_become_options_of_the_recipe(
    recipe, files, tmp_path
):
    given = options(files, tmp_path, epochs=None, hidden_dim=None)
    values = {"include_products": False, "units": 16, "placement": "states"}
    task = search.Trials(given, recipe).task_options(values)
    assert task.graph == "predicted"
    assert (task.products, task.graph_units) == (False, 16)
    assert task.placement == "states"
    defaults = recipe.Options(out=tmp_path)
    for name in ("epochs", "hidden_dim", "learning_rate"):
        assert getattr(task, name) == getattr(defaults, name)
    assert task.batch_size == 16


def command(files, out, *more):
    given = vars(options(files, out))
    names = ("task", "data_dir", "vectors", "predictor", "out", "hidden_dim")
    flags = [
        x
        for name in (*names, "epochs", "batch_size", "max_trials")
        for x in (f"--{name.replace('_', '-')}", str(given[name]))
    ]
    return [sys.executable, "-m", "recipes.tuning.search", *flags, *more]


@pytest.fixture
def start():
    """Starts processes; none outlives the test."""
    processes = []

    def run(arguments, log, **environment):
        with open(log, "w") as output:
            process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_killed_search_goes_on(files, tmp_path, start):
    """SIGKILL in the second trial."""
    out, log = tmp_path / "out", tmp_path / "log"
    arguments = command(files, out, "--max-trials", "3")
    process = start(arguments, log)
    while not (out / "trials" / "trial_1" / "trial.json").exists():
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    first = out / "trials" / "trial_0" / "trial.json"
    before = first.stat().st_mtime_ns
    process = start(arguments, log)
    assert process.wait(1800) == 0, log.read_text()[-3000:]
    assert first.stat().st_mtime_ns == before
    table = pandas.read_csv(out / "trials.csv")
    assert sorted(table["trial"]) == [0, 1, 2]
    assert set(table["status"]) == {"COMPLETED"}


def start_both(start, files, tmp_path, *of_worker):
    """Starts a chief and a worker; returns their processes by name."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    return {
        name: start(
            command(files, tmp_path / "out", *options),
            tmp_path / name,
            KERASTUNER_ORACLE_IP="127.0.0.1",
            KERASTUNER_ORACLE_PORT=port,
            KERASTUNER_TUNER_ID=name,
        )
        for name, options in (("chief", ()), ("tuner0", of_worker))
    }


@pytest.mark.slow
def test_a_worker_with_other_data_is_refused(files, tmp_path, start):
    """Its scores could not be compared with those of the others."""
    processes = start_both(start, files, tmp_path, "--limit", "5")
    assert processes["tuner0"].wait(600) == 1
    message = "The data are not those of the run"
    assert message in (tmp_path / "tuner0").read_text()


@pytest.mark.slow
def test_chief_and_worker_share_a_search(files, tmp_path, start):
    out = tmp_path / "out"
    processes = start_both(start, files, tmp_path)
    for name, process in processes.items():
        assert process.wait(1800) == 0, (tmp_path / name).read_text()[-3000:]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["completed"] == 2
    best = out / f"best-{metrics['best_trial']}" / "best.keras"
    keras.saving.load_model(best)
