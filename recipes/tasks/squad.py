r"""Answers to questions on paragraphs: Sec. 3.1 of the paper, "SQuAD".

    python -m recipes.tasks.squad --data-dir squad \
        --vectors wiki_imdb.100d.txt --graph predicted \
        --out runs/squad/predicted

`--data-dir` holds `train-v1.1.json` and `dev-v1.1.json`; `--tfds squad` reads
a prepared TFDS data set instead. Some paragraphs of train are held out; the
epoch whose F1 on their questions is best answers dev, all of its questions
whatever their length. Each seed leaves a run folder OUT/seed-N with, besides
the usual, letters.txt and predictions.json in the official format, which
`python -m recipes.tasks.evaluate_squad` scores.

`--optimizer adadelta --learning-rate 0.5` is what the released code trains
with (and halves the rate where this recipe keeps it); Adam follows a cosine
to 0 over all epochs. Results are in docs/tasks.md.
"""

import dataclasses
from typing import Literal

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras.utils import files
from recipes.common import JIT_COMPILE
from recipes.common import check_positive
from recipes.common import check_rate
from recipes.seeds import run_seeds
from recipes.tasks import run
from recipes.tasks.features import load_features
from recipes.tasks.graphs import make_graphs
from recipes.tasks.graphs import match_width
from recipes.tasks.graphs import token_tables
from recipes.tasks.options import TaskOptions
from recipes.tasks.options import check_task
from recipes.tasks.reading import Reading
from recipes.tasks.reading import ValidationAnswers
from recipes.tasks.reading import name_faults

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MONITOR = "val_f1"
RESULTS = ("letters.txt", "predictions.json")


@dataclasses.dataclass(kw_only=True)
class Options(TaskOptions):
    """Trains and tests a reader of SQuAD 1.1."""

    max_context: int = 250
    """Words of a training context; the rest is cut off."""
    max_question: int = 40
    """Words of a training question; the rest is cut off."""
    max_answer: int = 16
    """Words of the longest answer that is given."""
    validation_questions: int = 1000
    """Training questions held out, with their contexts."""
    min_letter_count: int = 50
    """How often a letter must occur to have an embedding of its own."""
    hidden_dim: int = 76
    """Units of the RNNs in each direction and of the linear layers."""
    dropout: float = 0.2
    optimizer: Literal["adam", "adadelta"] = "adam"
    epochs: int = 20
    steps_per_epoch: int = 250
    """Steps between two validations."""
    patience: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3
    products: bool = False


@dataclasses.dataclass
class SquadData(run.TaskData):
    """`TaskData` whose texts are `Reading`s, and the letters."""

    letters: str


def main(options):
    """Runs the recipe; returns the metrics of each seed."""
    check(options)
    results = [run.BEST, *RESULTS]
    return run_seeds(options, load, train, describe, results)


def check(options):
    """Refuses options out of their range, before any work."""
    check_task(options)
    check_positive(
        options,
        "max_context",
        "max_question",
        "max_answer",
        "validation_questions",
        "min_letter_count",
        "hidden_dim",
    )
    check_rate(options, "dropout")


def train(options, loaded, seed, folder):
    """Trains and tests a model; returns its metrics."""
    model = build(match_width(options, loaded, build), loaded, seed)
    own = callbacks(options, loaded)
    metrics = run.fit(options, loaded, model, seed, folder, own, MONITOR)
    return metrics | evaluate(options, loaded, model, folder)


def load(options):
    """Reads and tokenises the questions, and finds their answers' tokens."""
    readings, lexicon = read(options)
    facts = {f"{k}_questions": len(r.questions) for k, r in readings.items()}
    learnable = {
        name: readings[name].learnable(options.max_context)
        for name in ("train", "validation")
    }
    check_learnable(options, **learnable)
    facts["train_questions_skipped"] = facts["train_questions"] - len(
        learnable["train"]
    )
    features = load_features(options, lexicon)
    letters = find_letters(readings["train"], lexicon, options)
    tables = {
        **features.tables,
        **token_tables(options, lexicon),
        "letter_ids": data.letter_ids(lexicon.words, letters),
    }
    few_lengths = run.few_lengths(options)
    examples = {
        name: readings[name].examples(
            tables,
            chosen,
            options.max_context,
            options.max_question,
            few_lengths=few_lengths,
        )
        for name, chosen in learnable.items()
    }
    return SquadData(
        train=examples["train"],
        validation=examples["validation"],
        tests={
            "dev": readings["dev"].examples(tables, few_lengths=few_lengths)
        },
        features=features,
        lexicon=lexicon,
        facts={**facts, **features.facts, **oracle(readings["dev"])},
        texts=readings,
        letters=letters,
    )


def check_learnable(options, train, validation):
    """Refuses data without a question to learn from or to validate on."""
    if not train or not validation:
        raise ValueError(
            "No question for training, or none held out, has an answer within "
            f"its context's first {options.max_context} words: raise "
            "--max-context, --limit or --validation-questions. "
            f"Received: {len(train)} and {len(validation)} such questions"
        )


def read(options):
    """Returns `Reading`s of train, validation and dev, and their lexicon."""
    parts = data.read_squad(options.data_dir, options.tfds)
    train, validation = parts["train"].split(
        options.validation_questions, options.split_seed
    )
    parts = {"train": train, "validation": validation, "dev": parts["dev"]}
    lexicon = data.Lexicon()
    readings = {}
    for name in parts:
        questions = run.limited(options, {name: parts[name]})[name]
        name_faults(name, questions)
        readings[name] = Reading(questions, lexicon, name)
    return readings, lexicon


def find_letters(reading, lexicon, options):
    """Returns the letters that are frequent in the training questions."""
    rows = [*reading.context_rows, *reading.question_rows]
    counts = np.bincount(np.concatenate(rows), minlength=len(lexicon))
    return data.frequent_letters(
        lexicon.words, counts, options.min_letter_count
    )


def describe(options, loaded):
    """Returns checksums of the data, also of what predictions are scored by."""
    digests = run.describe(options, loaded)
    for name in ("validation", "dev"):
        asked = loaded.texts[name].questions
        digests[f"{name}_answers"] = files.digest(
            [asked.ids, asked.answers, asked.contexts]
        )
    return digests


def oracle(reading):
    """Returns the scores of the best spans of tokens on dev."""
    scores = data.squad_scores(reading.questions, reading.oracle())
    print(
        f"dev: the best spans of tokens give {scores['exact_match']:.2f} "
        f"exact match, {scores['f1']:.2f} F1"
    )
    return {f"oracle_{name}": scores[name] for name in ("exact_match", "f1")}


def build(options, loaded, seed):
    """Returns the compiled reader, which applies the graphs."""
    source, transfer = make_graphs(options, seed)
    # After the graphs, so that all sources start from the same weights.
    keras.utils.set_random_seed(seed)
    model = gk.models.SpanReader(
        loaded.features.layers(),
        graphs=source,
        transfer=transfer,
        placement=options.placement,
        num_letters=len(loaded.letters) + 2,
        hidden_dim=options.hidden_dim,
        dropout=options.dropout,
        seed=seed,
    )
    model.compile(
        make_optimizer(options),
        {"start_logits": LOSS, "end_logits": LOSS},
        jit_compile=JIT_COMPILE[options.jit_compile],
    )
    return model


def make_optimizer(options):
    """Returns Adam with warm-up and cosine decay, or Adadelta."""
    if options.optimizer == "adadelta":
        return keras.optimizers.Adadelta(
            options.learning_rate, rho=0.95, epsilon=1e-6
        )
    schedule = run.cosine_decay(
        options.learning_rate, options.epochs * options.steps_per_epoch
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=5.0)


def callbacks(options, loaded):
    """Returns the callback that answers the held-out questions."""
    reading = loaded.texts["validation"]
    return [
        ValidationAnswers(
            reading,
            reading.examples(loaded.validation.tables),
            options.batch_size,
            options.max_answer,
        )
    ]


def evaluate(options, loaded, model, folder):
    """Writes predictions.json and letters.txt; returns the scores on dev."""
    (folder.path / "letters.txt").write_text(loaded.letters, encoding="utf-8")
    reading = loaded.texts["dev"]
    answers = reading.answers(
        model,
        loaded.tests["dev"],
        options.batch_size,
        options.max_answer,
        progress=True,
    )
    data.write_predictions(folder.path / "predictions.json", answers)
    scores = data.squad_scores(reading.questions, answers)
    return {f"dev_{name}": value for name, value in scores.items()}


if __name__ == "__main__":
    main(tyro.cli(Options))
