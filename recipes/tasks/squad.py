"""Answers to questions on paragraphs: Sec. 3.1 of the paper, "SQuAD".

    python -m recipes.tasks.squad --data-dir squad --vectors wiki_imdb.100d.txt \
--graph glomo --out runs/squad/glomo

`--data-dir` holds `train-v1.1.json` and `dev-v1.1.json`; `--tfds squad` reads
a prepared TFDS data set instead. Some paragraphs of train are held out; the
epoch whose F1 on their questions is best answers dev, all of its questions
whatever their length. Each seed leaves a run folder OUT/seed-N with, besides
the usual, letters.txt and predictions.json in the official format, which
`python -m recipes.tasks.evaluate_squad` scores.

`--optimizer adadelta --learning-rate 0.5` is what the released code trains
with (and halves the rate where this recipe keeps it); Adam follows a cosine
to 0 over all epochs.
"""

import dataclasses
from typing import Literal

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from recipes.checks import check_positive
from recipes.checks import refuse
from recipes.tasks import graphs
from recipes.tasks import run
from recipes.tasks.features import make_features
from recipes.tasks.options import TaskOptions
from recipes.tasks.reading import Reading
from recipes.tasks.reading import ValidationAnswers
from recipes.xla import JIT_COMPILE

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
OUTPUTS = ("start_logits", "end_logits")


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
    split_seed: int = 0
    """Draws the held-out contexts, the same for all seeds of the run."""
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
class Dev:
    """What the evaluation needs beside `TaskData`."""

    letters: str
    validation: Reading
    dev: Reading
    examples: data.Examples


def check(options):
    """Refuses what no reader can be, before any work."""
    check_positive(
        options,
        "max_context",
        "max_question",
        "max_answer",
        "validation_questions",
        "min_letter_count",
        "hidden_dim",
    )
    if not 0 <= options.dropout < 1:
        refuse("dropout", "in [0, 1)", options)


def load(options):
    """Reads, holds out, tokenises and finds the tokens of the answers."""
    readings, lexicon = read(options)
    facts = {f"{k}_questions": len(r.questions) for k, r in readings.items()}
    trained = readings["train"].learnable(options.max_context)
    facts["train_questions_skipped"] = facts["train_questions"] - len(trained)
    validation = readings["validation"]
    learnable = validation.learnable(options.max_context)
    if not trained or not learnable:
        raise ValueError(
            "No question for training, or none held out, has an answer within "
            f"its context's first {options.max_context} words: raise "
            "--max-context, --limit or --validation-questions. "
            f"Received: {len(trained)} and {len(learnable)} such questions"
        )
    features = make_features(options)
    facts |= features.prepare(lexicon.words)
    letters = find_letters(readings["train"], lexicon, options)
    tables = {
        **features.tables,
        **graphs.tables(options, lexicon),
        "letter_ids": data.letter_ids(lexicon.words, letters),
    }
    few = {"few_lengths": run.needs_few_lengths(options)}
    lengths = (options.max_context, options.max_question)
    return run.TaskData(
        readings["train"].examples(tables, trained, *lengths, **few),
        validation.examples(tables, learnable, *lengths, **few),
        features,
        lexicon,
        {**facts, **oracle(readings["dev"])},
        Dev(
            letters,
            validation,
            readings["dev"],
            readings["dev"].examples(tables, **few),
        ),
    )


def read(options):
    """`Reading` of train, validation and dev, and their lexicon."""
    parts = data.read_squad(options.data_dir, options.tfds)
    train, validation = parts["train"].split(
        options.validation_questions, options.split_seed
    )
    parts = {"train": train, "validation": validation, "dev": parts["dev"]}
    lexicon = data.Lexicon()
    readings = {}
    for name, questions in parts.items():
        if options.limit is not None:
            rng = np.random.default_rng(options.split_seed)
            order = rng.permutation(len(questions))[: options.limit]
            questions = questions.take(sorted(order.tolist()))
        name_faults(name, questions)
        readings[name] = Reading(questions, lexicon, name)
    return readings, lexicon


def name_faults(name, questions, shown=5):
    """Prints which answers are not in their context, and repeated ids."""
    misplaced = questions.misplaced()
    if misplaced:
        print(
            f"{name}: {len(misplaced)} answers do not stand in their context "
            "where they are said to, and are not learned from:"
        )
        for identifier, text, start in misplaced[:shown]:
            print(f"  {identifier}: {text!r} at {start}")
    if questions.num_repeated_ids():
        print(
            f"{name}: {questions.num_repeated_ids()} questions have an id "
            "that an earlier one has; a file of predictions keeps the last."
        )


def find_letters(reading, lexicon, options):
    rows = [*reading.context_rows, *reading.question_rows]
    counts = np.bincount(np.concatenate(rows), minlength=len(lexicon))
    return data.frequent_letters(
        lexicon.words, counts, options.min_letter_count
    )


def oracle(reading):
    """What the best spans of tokens would score on dev."""
    scores = data.squad_scores(reading.questions, reading.oracle())
    print(
        f"dev: the best spans of tokens give {scores['exact_match']:.2f} "
        f"exact match, {scores['f1']:.2f} F1"
    )
    return {f"oracle_{name}": scores[name] for name in ("exact_match", "f1")}


def build(options, loaded, task_graphs, width, seed):
    """The model, not compiled."""
    return gk.models.SpanReader(
        loaded.features.layers(),
        task_graphs,
        num_letters=len(loaded.extra.letters) + 2,
        hidden_dim=width,
        dropout=options.dropout,
        seed=seed,
    )


def compile_model(options, model):
    if options.optimizer == "adadelta":
        optimizer = keras.optimizers.Adadelta(
            options.learning_rate, rho=0.95, epsilon=1e-6
        )
    else:
        steps = options.epochs * options.steps_per_epoch
        schedule = keras.optimizers.schedules.CosineDecay(
            options.learning_rate / 10,
            decay_steps=steps - steps // 20,
            warmup_target=options.learning_rate,
            warmup_steps=steps // 20,
        )
        optimizer = keras.optimizers.Adam(schedule, global_clipnorm=5.0)
    model.compile(
        optimizer,
        dict.fromkeys(OUTPUTS, LOSS),
        jit_compile=JIT_COMPILE[options.jit_compile],
    )


def callbacks(options, loaded):
    extra = loaded.extra
    questions = extra.validation.examples(loaded.validation.tables)
    return [
        ValidationAnswers(
            extra.validation,
            questions,
            options.batch_size,
            options.max_answer,
        )
    ]


def evaluate(options, model, loaded, folder):
    """The official scores on dev; predictions.json and letters.txt."""
    extra = loaded.extra
    (folder.path / "letters.txt").write_text(extra.letters, encoding="utf-8")
    answers = extra.dev.answers(
        model,
        extra.examples,
        options.batch_size,
        options.max_answer,
        progress=True,
    )
    data.write_predictions(folder.path / "predictions.json", answers)
    scores = data.squad_scores(extra.dev.questions, answers)
    return {f"dev_{name}": value for name, value in scores.items()}


TASK = run.Task(
    check=check,
    load=load,
    build=build,
    compile=compile_model,
    evaluate=evaluate,
    results=("letters.txt", "predictions.json"),
    monitor="val_f1",
    callbacks=callbacks,
)


def main(options):
    return run.run(TASK, options)


if __name__ == "__main__":
    main(tyro.cli(Options))
