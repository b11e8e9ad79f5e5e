"""Sentiment of film reviews: Sec. 3.1 of the paper, "IMDB".

    python -m recipes.tasks.imdb --data-dir imdb --vectors wiki_imdb.100d.txt \
--graph glomo --seeds 3 --out runs/imdb/glomo

`--data-dir` holds the official `aclImdb`; `--tfds imdb_reviews` reads a
prepared TFDS data set instead. A tenth of the training reviews is held out;
the epoch that is best on it is tested once. Each seed leaves a run folder
OUT/seed-N with, besides the usual, predictions.csv: the review, its label,
the one predicted and the probability of "pos".

`--graph none` gives 89.2 % (standard deviation 0.2, three seeds) with vectors
of recipes.pretrain.word_vectors, in about 8 minutes of one core; docs/tasks.md
has the other modes. The paper has 88.51 for its baseline and 89.16 with GLoMo.
"""

import csv
import dataclasses
from typing import Literal

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras.training import atomic_file
from recipes.checks import check_positive
from recipes.checks import refuse
from recipes.tasks import graphs
from recipes.tasks import run
from recipes.tasks.features import make_features
from recipes.tasks.options import TaskOptions
from recipes.xla import JIT_COMPILE

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(kw_only=True)
class Options(TaskOptions):
    """Trains and tests a classifier of IMDB's reviews."""

    max_length: int = 200
    """Words of a review that are read, the last ones: the verdict is there."""
    validation_fraction: float = 0.1
    """Share of the training reviews held out."""
    split_seed: int = 0
    """Draws the held-out reviews, the same for all seeds of the run."""
    hidden_dim: int = 150
    """Units of the RNN in each direction and of the linear layers."""
    dropout: float = 0.1
    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 3e-3
    learning_rate_decay: float = 0.2
    """Factor of the learning rate from one validation to the next."""
    # What keeps a step with graphs cheap beside so small a model.
    graph_layers: tuple[int, ...] = (1,)
    graph_units: int | None = 50
    predictor_precision: Literal["float32", "mixed_bfloat16"] = "mixed_bfloat16"


def load(options):
    """Reads, tokenises and holds out."""
    features = make_features(options)
    train, test = (read(options, split) for split in ("train", "test"))
    train, validation = train.split(
        options.validation_fraction, options.split_seed
    )
    if options.limit is not None:
        rng = np.random.default_rng(options.split_seed)
        train, validation, test = (
            part.take(sorted(rng.permutation(len(part))[: options.limit]))
            for part in (train, validation, test)
        )
    lexicon = data.Lexicon()
    parts = {"train": train, "validation": validation, "test": test}
    rows = {
        name: [
            row[-options.max_length :]
            for row in lexicon.add(part.texts, description=name)[0]
        ]
        for name, part in parts.items()
    }
    facts = features.prepare(lexicon.words)
    tables = {**features.tables, **graphs.tables(options, lexicon)}
    examples = {
        name: data.Examples(
            {"": rows[name]},
            tables,
            {"logits": part.labels},
            few_lengths=run.needs_few_lengths(options),
        )
        for name, part in parts.items()
    }
    facts |= {f"{name}_reviews": len(part) for name, part in parts.items()}
    return run.TaskData(
        examples["train"],
        examples["validation"],
        features,
        lexicon,
        facts,
        extra=(test, examples["test"]),
    )


def check(options):
    """Refuses options out of their range."""
    check_positive(options, "max_length", "hidden_dim")
    if not 0 <= options.dropout < 1:
        refuse("dropout", "in [0, 1)", options)
    if options.learning_rate_decay <= 0:
        refuse("learning_rate_decay", "above 0", options)


def read(options, split):
    if options.tfds:
        return data.read_imdb_tfds(split, options.tfds, options.data_dir)
    return data.read_imdb(options.data_dir, split)


def build(options, loaded, task_graphs, width, seed):
    """The model, not compiled."""
    return gk.models.TextClassifier(
        loaded.features.layers(),
        task_graphs,
        num_classes=2,
        hidden_dim=width,
        dropout=options.dropout,
        seed=seed,
    )


def compile_model(options, model):
    model.compile(
        keras.optimizers.Adam(options.learning_rate, global_clipnorm=1.0),
        {"logits": LOSS},
        metrics={"logits": keras.metrics.SparseCategoricalAccuracy("accuracy")},
        jit_compile=JIT_COMPILE[options.jit_compile],
    )


def evaluate(options, model, loaded, folder):
    """Accuracy on the test reviews, and predictions.csv."""
    reviews, examples = loaded.extra
    logits = run.predict(options, model, examples)["logits"]
    predicted = logits.argmax(axis=1)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[:, 1]
    with atomic_file(folder.path / "predictions.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "label", "predicted", "probability"])
        for row in zip(
            reviews.ids, reviews.labels, predicted, probabilities, strict=True
        ):
            writer.writerow([*row[:3], f"{row[3]:.4f}"])
    loss = keras.ops.mean(LOSS(reviews.labels, logits))
    return {
        "test_accuracy": float((predicted == reviews.labels).mean()),
        "test_loss": float(loss),
    }


def callbacks(options, loaded):
    return [
        keras.callbacks.LearningRateScheduler(
            lambda epoch: (
                options.learning_rate * options.learning_rate_decay**epoch
            )
        )
    ]


TASK = run.Task(
    check=check,
    load=load,
    build=build,
    compile=compile_model,
    evaluate=evaluate,
    results=("predictions.csv",),
    callbacks=callbacks,
)


def main(options):
    return run.run(TASK, options)


if __name__ == "__main__":
    main(tyro.cli(Options))
