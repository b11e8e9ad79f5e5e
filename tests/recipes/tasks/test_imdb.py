"""The recipe of IMDB on reviews that the tests write."""

import csv
import dataclasses
import json
import random

import numpy as np
import pytest

from recipes.tasks import imdb
from recipes.tasks import run as task_runs
from recipes.tasks.graphs import trained_parameters
from tests.recipes import small_tasks
from tests.recipes.resuming import check_resumed

# Texts that a model must not stumble over, before and after training.
ODD = ["", "dog", "the dog runs " * 1700, "zzz qqq", "\u200b", "🐕 é"]


def write_data(folder):
    rng = random.Random(0)
    for split in ("train", "test"):
        for label, stars in (("neg", 1), ("pos", 9)):
            part = folder / "aclImdb" / split / label
            part.mkdir(parents=True)
            texts = [" ".join(rng.choices(small_tasks.WORDS, k=8))] * 6
            for number, text in enumerate([*ODD, *texts]):
                (part / f"{number}_{stars}.txt").write_text(text, "utf-8")
    small_tasks.write_vectors(folder / "vectors.txt")
    small_tasks.write_predictor(folder / "preset")
    small_tasks.write_pretrainer(folder / "pretrainer")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("imdb") / "data")


def options(folder, out, **kwargs):
    return imdb.Options(
        data_dir=folder,
        vectors=folder / "vectors.txt",
        predictor=str(folder / "preset"),
        pretrainer=folder / "pretrainer",
        out=out,
        **{
            "hidden_dim": 3,
            "max_length": 9,
            "batch_size": 18,
            "validation_fraction": 0.25,
            "graph_units": 2,
            **kwargs,
        },
    )


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A finished run with learned graphs."""
    run = options(folder, tmp_path_factory.mktemp("runs"), graph="predicted")
    imdb.main(run)
    return run


def test_metrics_count_the_reviews_and_agree_with_the_predictions(run):
    metrics = json.loads((run.out / "seed-0/metrics.json").read_text())
    sizes = [metrics[f"{x}_reviews"] for x in ("train", "validation", "test")]
    assert sizes == [18, 6, 24]
    assert metrics["epochs"] == 2 and metrics["words_with_vector"] == 14
    with (run.out / "seed-0/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows[:2]] == ["neg/0_1", "neg/1_1"]
    right = [row["label"] == row["predicted"] for row in rows]
    assert metrics["test_accuracy"] == sum(right) / 24
    for row in rows:
        assert (float(row["probability"]) > 0.5) == (row["predicted"] == "1")


def test_run_leaves_pictures(run):
    for name in ("learning_curves", "mixed_graphs_1", "mixture_weights"):
        assert (run.out / f"seed-0/figures/{name}.png").stat().st_size > 1000


@pytest.mark.slow
def test_killed_run_ends_in_the_metrics_of_the_uninterrupted_one(run):
    check_resumed(
        lambda: imdb.main(run),
        run.out / "seed-0",
        ("metrics.json", "history.csv", "predictions.csv"),
    )


def test_finished_run_is_not_trained_again(run):
    history = run.out / "seed-0/history.csv"
    before = history.stat().st_mtime_ns
    assert imdb.main(run)[0]["graph"] == "predicted"
    assert history.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="dropout: 0.1 there, 0.3 now"):
        imdb.main(dataclasses.replace(run, dropout=0.3))


def test_second_seed_needs_the_data_of_the_first(run):
    extra = run.data_dir / "aclImdb/train/pos/99_9.txt"
    extra.write_text("the cat is happy")
    try:
        with pytest.raises(ValueError, match="data have changed"):
            imdb.main(dataclasses.replace(run, seeds=2))
    finally:
        extra.unlink()


def test_seed_draws_its_own_training_examples(folder, tmp_path):
    small = options(folder, tmp_path / "run", train_examples=7)
    loaded = imdb.load(small)
    drawn = [task_runs.draw_examples(small, loaded, seed) for seed in (0, 0, 1)]
    texts, again, others = (
        [tuple(row) for row in each.train.texts[""]] for each in drawn
    )
    assert texts == again != others
    assert {*texts} <= {tuple(row) for row in loaded.train.texts[""]}
    assert len(drawn[0].train.targets["logits"]) == 7
    assert drawn[0].facts["train_examples"] == 7
    assert drawn[0].validation is loaded.validation


def test_model_without_rnn_is_trained_and_tested(folder, tmp_path):
    run = options(folder, tmp_path / "run")
    small_tasks.check_model_without_rnn(imdb, run)


def test_with_heads_apart_all_graphs_have_as_many_parameters(folder, tmp_path):
    counts = {}
    for graph in ("uniform", "random", "decay"):
        run = options(
            folder,
            tmp_path / "run",
            graph=graph,
            transfer="heads",
            graph_layers=(2,),
        )
        model = imdb.build(run, imdb.load(run), seed=0)
        counts[graph] = trained_parameters(model)
    assert counts["uniform"] == counts["random"]
    rates = 2 * 2  # of two heads, forwards and backwards
    assert counts["decay"] == counts["uniform"] + rates


def test_cosine_schedule_ends_at_zero(folder, tmp_path):
    cosine = options(
        folder,
        tmp_path / "run",
        schedule="cosine",
        train_examples=12,
        epochs=10,
        steps_per_epoch=4,
    )
    metrics = imdb.main(cosine)[0]
    assert metrics["train_examples"] == 12
    rate = task_runs.learning_rate(cosine, None)
    rates = [float(rate(step)) for step in (0, 2, 40)]
    np.testing.assert_allclose(rates, [3e-4, 3e-3, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_length": 0}, "--max-length is at least 1"),
        ({"hidden_dim": 0}, "--hidden-dim is at least 1"),
        ({"dropout": 1.0}, r"--dropout is in \[0, 1\)"),
        (
            {"rnn": False, "graph": "predicted", "placement": "states"},
            "--placement is embeddings with --no-rnn",
        ),
        ({"learning_rate_decay": 0.0}, "--learning-rate-decay is above 0"),
        ({"validation_fraction": 1.0}, "--validation-fraction is between"),
        ({"seeds": 0}, "--seeds is at least 1"),
        ({"limit": 0}, "--limit is at least 1"),
        ({"train_examples": 0}, "--train-examples is at least 1"),
        ({"train_examples": 19}, "--train-examples is at most 18"),
        ({"graph_dropout": 1.0}, r"--graph-dropout is in \[0, 1\)"),
        (
            {"graph": "predicted", "graph_layers": (3,)},
            "--graph-layers is different numbers from 1 to 2, layers of --pred",
        ),
        (
            {"graph": "decay", "graph_layers": (1, 1)},
            "--graph-layers is different numbers from 1 to 2, layers of",
        ),
        (
            {"graph": "uniform", "transfer": "heads", "predictor": "nowhere"},
            "A preset is",
        ),
        ({"matched": True}, "--matched is for a --graph"),
        ({"data_dir": None}, "--data-dir FOLDER"),
        ({"vectors": None}, "--vectors FILE"),
        ({"graph": "random", "predictor": "glomo_smal_en"}, "A preset is"),
    ],
)
def test_wrong_options_are_refused(folder, tmp_path, changes, message):
    run = dataclasses.replace(options(folder, tmp_path / "run"), **changes)
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        imdb.main(run)
    assert not (tmp_path / "run/seed-0/checkpoint").exists()


def test_vectors_of_other_words_are_refused(folder, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("quux 1.0 2.0\n")
    run = dataclasses.replace(options(folder, tmp_path / "run"), vectors=path)
    with pytest.raises(ValueError, match=f"No word.*Received: vectors={path}"):
        imdb.main(run)


@pytest.mark.slow
def test_diverged_training_leaves_no_metrics(folder, tmp_path):
    run = options(
        folder, tmp_path / "run", learning_rate=1e38, steps_per_epoch=2
    )
    with pytest.raises(RuntimeError, match="diverged in epoch 1"):
        imdb.main(run)
    assert not (run.out / "seed-0/metrics.json").exists()


@pytest.mark.slow
def test_matched_model_has_about_as_many_parameters(folder, tmp_path):
    found, with_graphs = (
        imdb.main(
            options(
                folder,
                tmp_path / str(matched),
                graph="predicted",
                matched=matched,
                hidden_dim=12,
                max_length=3,
                batch_size=24,
                epochs=1,
            )
        )[0]
        for matched in (True, False)
    )
    wanted = with_graphs["trained_parameters"]
    assert abs(found["trained_parameters"] - wanted) < 0.1 * wanted
    assert found["predictor_sha256"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"graph": "none"},
        {"graph": "predicted", "placement": "states"},
        {"graph": "uniform"},
        {"graph": "random"},
        {"graph": "predicted", "features": "glove+pretrained"},
    ],
)
def test_same_seed_gives_the_same_metrics(folder, tmp_path, changes):
    runs = [
        imdb.main(options(folder, tmp_path / x, num_mixtures=2, **changes))
        for x in "ab"
    ]
    assert runs[0] == runs[1]
