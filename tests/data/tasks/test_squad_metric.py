"""The metric against its rules, written down once more in another way."""

import json
import re

import numpy as np
import pytest

from glomo_keras import data
from glomo_keras.data.tasks.squad_metric import exact_match
from glomo_keras.data.tasks.squad_metric import f1_score
from glomo_keras.data.tasks.squad_metric import normalize_answer
from tests.data import small_squad


@pytest.fixture
def questions(tmp_path):
    return data.read_squad(small_squad.write(tmp_path / "squad"))["dev"]


def words(text):
    """Rules of v1.1: lower case, no ASCII punctuation, no article, blanks."""
    ascii_signs = {chr(i) for i in range(33, 127) if not chr(i).isalnum()}
    text = "".join(c for c in text.lower() if c not in ascii_signs)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def by_the_rules(prediction, answers):
    """Exact match and F1 of one question."""
    predicted, best = words(prediction), [0.0, 0.0]
    for answer in answers:
        wanted = words(answer)
        same = sum(
            min(predicted.count(w), wanted.count(w)) for w in set(wanted)
        )
        f1 = 2 * same / (len(predicted) + len(wanted)) if same else 0.0
        best = [max(best[0], predicted == wanted), max(best[1], f1)]
    return best


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat, an' a dog!", "cat dog"),
        ("U.S.A.", "usa"),
        ("a.n the", ""),  # punctuation goes before the articles
        ("Theatre of another", "theatre of another"),
        ("24–10 “so”", "24–10 “so”"),  # only ASCII punctuation goes
        ("\u00a0x\u2003y\n", "x y"),
        ("É the é", "é é"),
        ("the-a", "thea"),
        ("$5 (a)", "5"),
        ("", ""),
    ],
)
def test_normalised_answer(text, normal):
    assert normalize_answer(text) == normal
    assert normalize_answer(text) == " ".join(words(text))


@pytest.mark.parametrize(
    ("prediction", "answer", "match", "f1"),
    [
        ("the Broncos", "Broncos!", True, 1.0),
        ("Denver Broncos", "Broncos", False, 2 / 3),
        ("red red rose", "red rose rose", False, 2 / 3),
        ("the", "a", True, 0.0),  # both empty: a match without an overlap
        ("", "", True, 0.0),
        ("x", "", False, 0.0),
    ],
)
def test_scores_of_an_answer(prediction, answer, match, f1):
    assert exact_match(prediction, answer) is match
    assert f1_score(prediction, answer) == pytest.approx(f1)


def predictions_of(kind, questions):
    rng = np.random.default_rng(0)
    made = {}
    for identifier, number in zip(
        questions.ids, questions.context_of, strict=True
    ):
        context = questions.contexts[number]
        start = rng.integers(len(context))
        made[identifier] = {
            "random": context[start : start + rng.integers(1, 20)],
            "empty": "",
            "unicode": context[start:] + "\u0301\u202f\U0001f600 “the” é",
            "gold": questions.answers[questions.ids.index(identifier)][0][0],
        }[kind]
    return made


@pytest.mark.parametrize("kind", ["random", "empty", "unicode", "gold"])
@pytest.mark.parametrize("kept", [8, 3, 0])
def test_scores_follow_the_rules(questions, kind, kept):
    predictions = dict(list(predictions_of(kind, questions).items())[:kept])
    rows = [
        by_the_rules(predictions[name], [text for text, _ in answers])
        for name, answers in zip(questions.ids, questions.answers, strict=True)
        if name in predictions
    ]
    scores = data.squad_scores(questions, predictions)
    expected = np.sum([[0.0, 0.0], *rows], axis=0) * 100 / 8
    assert scores["exact_match"] == pytest.approx(expected[0])
    assert scores["f1"] == pytest.approx(expected[1])
    assert (scores["questions"], scores["missing"]) == (8, 8 - kept)
    assert (scores["exact_match"] == 100) == (kind == "gold" and kept == 8)


def test_predictions_of_no_question_change_nothing(questions):
    scores = data.squad_scores(questions, {"other": "x", "q0": "Broncos"})
    assert scores["exact_match"] == pytest.approx(100 / 8)


def test_nothing_to_score_is_refused(questions):
    with pytest.raises(ValueError, match="nothing to score.*Received: "):
        data.squad_scores(questions.take([]), {})


def test_file_of_predictions_is_read_back(tmp_path):
    predictions = {"q0": "crêpes \U0001f600", "q1": "", "q2": "line\nbreak"}
    data.write_predictions(tmp_path / "p.json", predictions)
    assert data.read_predictions(tmp_path / "p.json") == predictions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        (["a"], "one JSON object.*Received: list"),
        ({"q0": 3}, "one JSON object.*Received: int for 'q0'"),
        ({"q0": None}, "one JSON object.*Received: NoneType for 'q0'"),
        (small_squad.content(), "one JSON object.*a file of questions"),
    ],
)
def test_file_of_something_else_is_refused(tmp_path, content, message):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ValueError, match=f"p.json.*{message}"):
        data.read_predictions(tmp_path / "p.json")
