"""The official metric of SQuAD 1.1: exact match and F1."""

import collections
import re
import string

from glomo_keras.utils import files

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text):
    """Normalizes an answer for scoring.

    Lower-cases it, then removes ASCII punctuation, then the words a, an and
    the, then all blanks but single ones, in this order.

    Args:
        text: str.

    Returns:
        str.

    Example:

    >>> normalize_answer("The  U.S. team")
    'us team'
    """
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction, answer):
    """Returns whether two answers are equal after `normalize_answer`."""
    return normalize_answer(prediction) == normalize_answer(answer)


def f1_score(prediction, answer):
    """Returns the harmonic mean of precision and recall of the words.

    Args:
        prediction: str.
        answer: str.

    Returns:
        float; 0 where no word is common, also where both have none.
    """
    predicted = normalize_answer(prediction).split()
    wanted = normalize_answer(answer).split()
    common = collections.Counter(predicted) & collections.Counter(wanted)
    count = sum(common.values())
    if count == 0:
        return 0.0
    precision = count / len(predicted)
    recall = count / len(wanted)
    return 2 * precision * recall / (precision + recall)


def squad_scores(questions, predictions):
    """Computes the official scores over all questions.

    A question counts with the best of its reference answers, one without a
    prediction with 0. Predictions for other questions count nothing.

    Args:
        questions: `SquadQuestions`.
        predictions: dict of question id to the predicted answer, str.

    Returns:
        Dict of `exact_match` and `f1`, floats from 0 to 100, and of the
        integers `questions` and `missing`, those without a prediction.

    Raises:
        ValueError: If there is no question.

    Example:

    >>> from glomo_keras.data import SquadQuestions
    >>> questions = SquadQuestions(
    ...     ["The red, red rose."], [0], ["q1"], ["What?"],
    ...     [[("red rose", 9), ("The red, red rose", 0)]])
    >>> squad_scores(questions, {"q1": "a red rose!"})["exact_match"]
    100.0
    """
    if not len(questions):
        raise ValueError("There is nothing to score. Received: 0 questions")
    matches, overlap, missing = 0, 0.0, 0
    for name, answers in zip(questions.ids, questions.answers, strict=True):
        if name not in predictions:
            missing += 1
            continue
        texts = [text for text, _ in answers]
        matches += max(exact_match(predictions[name], t) for t in texts)
        overlap += max(f1_score(predictions[name], t) for t in texts)
    total = len(questions)
    return {
        "exact_match": 100.0 * matches / total,
        "f1": 100.0 * overlap / total,
        "questions": total,
        "missing": missing,
    }


def write_predictions(path, predictions):
    """Writes the official file of predictions, `{id: answer}`.

    Args:
        path: the file.
        predictions: dict of str to str.
    """
    files.write_json(path, predictions)


def read_predictions(path):
    """Reads a file of predictions, `{id: answer}`.

    Args:
        path: the file.

    Returns:
        Dict of str to str.

    Raises:
        ValueError: If the file is not JSON, or not such an object; the
            message names the file and what is wrong.
    """
    predictions = files.read_json(path)
    wanted = f"{path}: predictions are one JSON object, {{id: answer}}. "
    if not isinstance(predictions, dict):
        raise ValueError(f"{wanted}Received: {type(predictions).__name__}")
    if isinstance(predictions.get("data"), list):
        raise ValueError(f"{wanted}Received: a file of questions ('data')")
    for name, answer in predictions.items():
        if not isinstance(answer, str):
            raise ValueError(
                f"{wanted}Received: {type(answer).__name__} for {name!r}"
            )
    return predictions
