"""Scores a file of predictions by the official rules of SQuAD 1.1.

    python -m recipes.tasks.evaluate_squad dev-v1.1.json predictions.json

prints exact match and F1 over all questions of the first file, as the
official `evaluate-v1.1.py` does: a question without a prediction counts 0,
one with several reference answers with the best of them.
"""

import dataclasses
import json
import pathlib
from typing import Annotated

import tyro

from glomo_keras import data


@dataclasses.dataclass
class Options:
    """Scores a file of predictions by the official rules of SQuAD 1.1."""

    dataset: Annotated[pathlib.Path, tyro.conf.Positional]
    """The official file of questions and answers."""
    predictions: Annotated[pathlib.Path, tyro.conf.Positional]
    """JSON object {id: answer}."""


def main(options):
    for path in (options.dataset, options.predictions):
        if not path.is_file():
            raise SystemExit(f"There is no file {path}")
    questions = data.read_squad_file(options.dataset)
    predictions = data.read_predictions(options.predictions)
    scores = data.squad_scores(questions, predictions)
    unknown = len(set(predictions) - set(questions.ids))
    if unknown:
        print(f"{unknown} predictions are for no question of the file.")
    if scores["missing"]:
        print(f"{scores['missing']} questions have no prediction: each is 0.")
    print(json.dumps({k: scores[k] for k in ("exact_match", "f1")}))
    return scores


if __name__ == "__main__":
    main(tyro.cli(Options))
