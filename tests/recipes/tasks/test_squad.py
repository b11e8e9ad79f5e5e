import dataclasses
import json

import numpy as np
import pytest

from glomo_keras import data
from recipes.tasks import evaluate_squad
from recipes.tasks import squad
from recipes.tasks.reading import Reading
from recipes.tasks.reading import batches_by_length
from tests.data import small_squad
from tests.recipes import small_tasks
from tests.recipes.resuming import check_resumed

# Contexts and questions that a model must not stumble over; answers which are
# not where they are said to be, or touch no token.
ODD = [
    ("", "Why?", "x", 0),
    ("one", "", "one", 0),
    ("zzz qqq \u200b", "yyy?", "   ", 0),
    ("the dog runs. " * 4, "Who runs?", "dog", 4),
    ("\U0001f600 é", "What?", "not here", 1),
]


def write_data(folder):
    small_squad.write(folder)
    for part in ("train", "dev"):
        path = folder / f"{part}-v1.1.json"
        content = json.loads(path.read_text("utf-8"))
        odd = ODD if part == "dev" else ODD[-1:]
        for number, (context, text, answer, start) in enumerate(odd):
            answers = [{"text": answer, "answer_start": start}]
            row = {"id": f"odd{number}", "question": text, "answers": answers}
            content["data"][0]["paragraphs"].append(
                {"context": context, "qas": [row]}
            )
        path.write_text(json.dumps(content))
    small_tasks.write_vectors(folder / "vectors.txt")
    small_tasks.write_predictor(folder / "preset")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("squad") / "data")


SMALL = {
    "hidden_dim": 3,
    "max_context": 14,
    "validation_questions": 2,
    "batch_size": 4,
    "epochs": 2,
    "steps_per_epoch": 1,
    "min_letter_count": 2,
}


def options(folder, out, **kwargs):
    return squad.Options(
        data_dir=folder,
        vectors=folder / "vectors.txt",
        predictor=str(folder / "preset"),
        out=out,
        **{"graph": "none", **SMALL, **kwargs},
    )


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A finished run with learned graphs on the states."""
    out = tmp_path_factory.mktemp("runs")
    run = options(folder, out, graph="predicted", placement="states")
    squad.main(run)
    return run


def read_metrics(run):
    return json.loads((run.out / "seed-0/metrics.json").read_text())


def test_all_questions_of_dev_count_and_have_a_prediction(run, capsys):
    metrics = read_metrics(run)
    paths = run.data_dir / "dev-v1.1.json", run.out / "seed-0/predictions.json"
    predictions = data.read_predictions(paths[1])
    questions = data.read_squad_file(paths[0])
    assert list(predictions) == questions.ids
    scores = evaluate_squad.main(evaluate_squad.Options(*paths))
    assert scores["questions"] == metrics["dev_questions"] == 13
    assert scores["missing"] == metrics["dev_missing"] == 0
    for name in ("exact_match", "f1"):
        assert scores[name] == metrics[f"dev_{name}"]
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == {k: scores[k] for k in ("exact_match", "f1")}


@pytest.mark.parametrize("name", ["validation", "dev"])
def test_answers_are_among_the_facts(name, folder, tmp_path):
    every = options(folder, tmp_path)
    loaded = squad.load(every)
    before = squad.describe(every, loaded)
    loaded.texts[name].questions.answers[0].append(("another", 0))
    after = squad.describe(every, loaded)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {f"{name}_answers"}


def test_predictions_are_cut_out_of_the_contexts(run):
    predictions = data.read_predictions(run.out / "seed-0/predictions.json")
    questions = data.read_squad_file(run.data_dir / "dev-v1.1.json")
    for name, number in zip(questions.ids, questions.context_of, strict=True):
        assert predictions[name] in questions.contexts[number]
    assert predictions["odd0"] == ""
    assert predictions["odd1"] == "one"


def test_run_counts_what_it_left_out(run):
    metrics = read_metrics(run)
    assert metrics["train_questions"] + metrics["validation_questions"] == 9
    assert metrics["train_questions_skipped"] in (0, 1)
    # No span of tokens gives "not here", nor "x" of the empty context.
    assert metrics["oracle_exact_match"] == pytest.approx(100 * 11 / 13)


def test_run_leaves_its_folder(run):
    names = ["config.json", "history.csv", "best.weights.h5", "letters.txt"]
    names += ["figures/learning_curves.png"]
    names += ["figures/question_mixture_weights.png"]
    assert all((run.out / "seed-0" / name).exists() for name in names)


def test_answers_are_found_as_tokens():
    lexicon = data.Lexicon()
    context = "In 1854-1865, $5."
    answers = [("x", 3), ("1854", 3), ("5", 15)]
    questions = data.SquadQuestions([context], [0], ["q"], ["When?"], [answers])
    reading = Reading(questions, lexicon, None)
    assert reading.spans_of(0) == [(1, 1), (6, 6)]
    assert reading.spans == [(1, 1)]
    assert reading.learnable() == reading.learnable(2) == [0]
    assert reading.learnable(1) == []
    assert reading.text(0, (1, 3)) == "1854-1865"
    assert reading.oracle() == {"q": "1854"}


def test_long_examples_go_in_small_batches():
    lengths = np.array([1500, 10, 400, 20, 600, 30, 512, 5000])
    batches = [b.tolist() for b in batches_by_length(lengths, 4)]
    assert batches == [[1, 3, 5, 2], [6, 4], [0], [7]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dim": 0}, "--hidden-dim is at least 1"),
        ({"max_context": 0}, "--max-context is at least 1"),
        ({"validation_questions": 0}, "--validation-questions is"),
        ({"dropout": 1.0}, r"--dropout is in \[0, 1\)"),
        ({"data_dir": None}, "--data-dir FOLDER"),
        ({"validation_questions": 100}, "cannot be split"),
        ({"vectors": None}, "--features glove reads a file: --vectors FILE"),
    ],
)
def test_wrong_options_are_refused(folder, tmp_path, changes, message):
    run = dataclasses.replace(options(folder, tmp_path), **changes)
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        squad.main(run)


@pytest.mark.parametrize("graph", ["predicted", "uniform"])
def test_heads_may_be_kept_apart(folder, tmp_path, graph):
    squad.check(
        dataclasses.replace(
            options(folder, tmp_path), graph=graph, transfer="heads"
        )
    )


def test_no_answer_within_the_length_is_refused(folder, tmp_path, capsys):
    run = options(folder, tmp_path, max_context=1, split_seed=2)
    with pytest.raises(ValueError, match="first 1 words.*Received"):
        squad.main(run)
    printed = capsys.readouterr().out
    assert "odd4: 'not here' at 1" in printed


def test_file_of_another_schema_is_refused_before_training(tmp_path):
    folder = write_data(tmp_path / "data")
    path = folder / "dev-v1.1.json"
    content = json.loads(path.read_text())
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = []
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="dev-v1.1.json, .*SQuAD 2.0"):
        squad.main(options(folder, tmp_path / "run"))
    assert not (tmp_path / "run/seed-0/checkpoint").exists()


@pytest.mark.slow
def test_killed_run_ends_in_the_metrics_of_the_uninterrupted_one(run):
    check_resumed(
        lambda: squad.main(run),
        run.out / "seed-0",
        ("metrics.json", "history.csv", "predictions.json"),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"graph": "none"},
        {"graph": "uniform"},
        {"graph": "random"},
        {"graph": "predicted", "matched": True},
    ],
)
def test_same_seed_gives_the_same_metrics(folder, tmp_path, changes):
    found = [
        squad.main(options(folder, tmp_path / name, **changes)) for name in "ab"
    ]
    assert found[0] == found[1]
