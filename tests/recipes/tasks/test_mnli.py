import csv
import dataclasses
import json
import random

import pytest

from recipes.tasks import mnli
from tests.recipes import small_tasks
from tests.recipes.resuming import check_resumed

LABELS = ("entailment", "neutral", "contradiction")
# Texts that a model must not stumble over, before and after training.
ODD = ["", "dog", "the dog runs " * 2000, "zzz qqq", "\u200b", "🐕 é"]


def write_pairs(path, count, odd=(), **fields):
    rng = random.Random(count)
    with path.open("w") as file:
        for number in range(count):
            texts = [
                " ".join(rng.choices(small_tasks.WORDS, k=4)) for _ in "ab"
            ]
            if number < len(odd):
                texts[number % 2] = odd[number]
            row = {
                "gold_label": LABELS[number % 3],
                "sentence1": texts[0],
                "sentence2": texts[1],
            }
            file.write(json.dumps(row) + "\n")
        if fields:
            file.write(json.dumps({**row, **fields}) + "\n")


def write_data(folder):
    folder.mkdir()
    write_pairs(folder / "multinli_1.0_train.jsonl", 24, ODD, gold_label="-")
    write_pairs(folder / "multinli_1.0_dev_matched.jsonl", 7, ODD)
    write_pairs(folder / "multinli_1.0_dev_mismatched.jsonl", 5)
    small_tasks.write_vectors(folder / "vectors.txt")
    small_tasks.write_predictor(folder / "preset")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("mnli") / "data")


def options(folder, out, **kwargs):
    return mnli.Options(
        data_dir=folder,
        vectors=folder / "vectors.txt",
        predictor=str(folder / "preset"),
        out=out,
        **{
            "graph": "none",
            "hidden_dim": 3,
            "max_length": 3,
            "batch_size": 18,
            "epochs": 2,
            "validation_fraction": 0.25,
            **kwargs,
        },
    )


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A finished run with learned graphs."""
    out = tmp_path_factory.mktemp("runs")
    run = options(folder, out, graph="predicted")
    mnli.main(run)
    return run


def read_metrics(run, seed=0):
    return json.loads((run.out / f"seed-{seed}/metrics.json").read_text())


def test_run_counts_what_it_read_and_dropped(run):
    metrics = read_metrics(run)
    assert metrics["train_pairs"] + metrics["validation_pairs"] == 24
    assert metrics["validation_pairs"] == 6
    assert (metrics["train_dropped"], metrics["matched_dropped"]) == (1, 0)
    assert metrics["matched_most_frequent_label"] == pytest.approx(3 / 7)
    assert metrics["epochs"] == 2


def test_predictions_are_glue_files_with_the_accuracy_of_the_metrics(run):
    metrics = read_metrics(run)
    for name, part in (("MNLI-m", "matched"), ("MNLI-mm", "mismatched")):
        path = run.data_dir / f"multinli_1.0_dev_{part}.jsonl"
        labels = [
            json.loads(line)["gold_label"]
            for line in path.read_text().splitlines()
        ]
        with (run.out / f"seed-0/{name}.tsv").open() as file:
            header, *rows = csv.reader(file, delimiter="\t")
        assert header == ["index", "prediction"]
        assert [row[0] for row in rows] == [str(n) for n in range(len(labels))]
        right = [row[1] == y for row, y in zip(rows, labels, strict=True)]
        assert metrics[f"{part}_accuracy"] == sum(right) / len(right)


def test_run_leaves_its_folder(run):
    names = ["config.json", "history.csv", "best.weights.h5"]
    names += ["figures/learning_curves.png"]
    names += ["figures/premise_mixture_weights.png"]
    names += ["figures/hypothesis_mixed_graphs_1.png"]
    assert all((run.out / "seed-0" / name).exists() for name in names)


def test_model_without_rnn_is_trained_and_tested(folder, tmp_path):
    run = options(folder, tmp_path / "run")
    small_tasks.check_model_without_rnn(mnli, run)


@pytest.mark.slow
def test_killed_run_ends_in_the_metrics_of_the_uninterrupted_one(run):
    check_resumed(
        lambda: mnli.main(run),
        run.out / "seed-0",
        ("metrics.json", "history.csv", "MNLI-m.tsv", "MNLI-mm.tsv"),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dim": 0}, "--hidden-dim is at least 1"),
        ({"max_length": 0}, "--max-length is at least 1"),
        ({"dropout": 1.0}, r"--dropout is in \[0, 1\)"),
        ({"validation_fraction": 1.0}, "--validation-fraction is between"),
        ({"validation_fraction": 0.0}, "--validation-fraction is between"),
        ({"data_dir": None}, "--data-dir FOLDER"),
    ],
)
def test_wrong_options_are_refused(folder, tmp_path, changes, message):
    run = dataclasses.replace(options(folder, tmp_path), **changes)
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        mnli.main(run)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("train", {"gold_label": "3"}, "train.jsonl, line 25: .*='3'"),
        ("dev_matched", {"sentence2": 5}, "matched.jsonl, line 8: .*=5"),
        ("dev_mismatched", {"gold_label": None}, "line 6: .*=None"),
    ],
)
def test_bad_data_are_named_before_training(tmp_path, name, fields, message):
    folder = write_data(tmp_path / "data")
    counts = {"train": 24, "dev_matched": 7, "dev_mismatched": 5}
    path = folder / f"multinli_1.0_{name}.jsonl"
    write_pairs(path, counts[name], **fields)
    with pytest.raises(ValueError, match=message):
        mnli.main(options(folder, tmp_path / "run"))
    assert not (tmp_path / "run/seed-0/checkpoint").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"graph": "none"},
        {"graph": "predicted", "placement": "states"},
        {"graph": "predicted", "matched": True},
    ],
)
def test_same_seed_gives_the_same_metrics(folder, tmp_path, changes):
    found = [
        mnli.main(options(folder, tmp_path / name, **changes)) for name in "ab"
    ]
    assert found[0] == found[1]
