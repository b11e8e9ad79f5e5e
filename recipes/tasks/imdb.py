r"""Sentiment of film reviews: Sec. 3.1 of the paper, "IMDB".

    python -m recipes.tasks.imdb --data-dir imdb --vectors wiki_imdb.100d.txt \
        --graph predicted --seeds 3 --out runs/imdb/predicted

`--data-dir` holds the official `aclImdb`; `--tfds imdb_reviews` reads a
prepared TFDS data set instead. A tenth of the training reviews is held out;
the epoch that is best on it is tested once. Each seed leaves a run folder
OUT/seed-N with, besides the usual, predictions.csv: the review, its label,
the predicted one and the probability of "pos".

`--graph none` gives 89.2 % (standard deviation 0.2, three seeds) with vectors
of recipes.pretrain.word_vectors, in about 8 minutes of one core; docs/tasks.md
has the other graphs. The paper has 88.51 for its baseline and 89.16 with
GLoMo.
"""

import csv
import dataclasses
from typing import Literal

import keras
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from recipes.common import JIT_COMPILE
from recipes.common import check_above_zero
from recipes.common import check_positive
from recipes.common import check_rate
from recipes.seeds import run_seeds
from recipes.tasks import run
from recipes.tasks.graphs import make_graphs
from recipes.tasks.graphs import match_width
from recipes.tasks.options import ClassifierOptions
from recipes.tasks.options import check_classifier

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MONITOR = "val_accuracy"


@dataclasses.dataclass(kw_only=True)
class Options(ClassifierOptions):
    """Trains and tests a classifier of IMDB's reviews."""

    max_length: int = 200
    """Words of a review that are read, the last ones: the verdict is there."""
    hidden_dim: int = 150
    """Units of the RNN in each direction and of the linear layers."""
    dropout: float = 0.1
    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 3e-3
    learning_rate_decay: float = 0.2
    """Factor of the learning rate from one validation to the next."""
    # These keep a step with graphs cheap relative to so small a model.
    graph_layers: tuple[int, ...] = (1,)
    graph_units: int | None = 50
    predictor_precision: Literal["float32", "mixed_bfloat16"] = "mixed_bfloat16"


def main(options):
    """Runs the recipe; returns the metrics of each seed."""
    check(options)
    results = [run.BEST, "predictions.csv"]
    return run_seeds(options, load, train, run.describe, results)


def check(options):
    """Refuses options out of their range, before any work."""
    check_classifier(options)
    check_positive(options, "max_length", "hidden_dim")
    check_rate(options, "dropout")
    check_above_zero(options, "learning_rate_decay")


def train(options, loaded, seed, folder):
    """Trains and tests a model; returns its metrics."""
    loaded = run.draw_examples(options, loaded, seed)
    model = build(match_width(options, loaded, build), loaded, seed)
    own = callbacks(options)
    metrics = run.fit(options, loaded, model, seed, folder, own, MONITOR)
    return metrics | evaluate(options, loaded, model, folder)


def load(options):
    """Reads the reviews, holds some out, and tokenises all."""
    reviews = {split: read(options, split) for split in ("train", "test")}
    reviews["train"], reviews["validation"] = reviews["train"].split(
        options.validation_fraction, options.split_seed
    )
    reviews = {k: reviews[k] for k in ("train", "validation", "test")}
    reviews = run.limited(options, reviews)
    lexicon = data.Lexicon()
    rows = {}
    for name, part in reviews.items():
        words, _ = lexicon.add(part.texts, description=name)
        rows[name] = {"": [row[-options.max_length :] for row in words]}
    sizes = {f"{name}_reviews": len(part) for name, part in reviews.items()}
    return run.make_data(options, lexicon, rows, reviews, ["test"], sizes)


def read(options, split):
    """Reads the official folders, or a TFDS data set."""
    if options.tfds:
        return data.read_imdb_tfds(split, options.tfds, options.data_dir)
    return data.read_imdb(options.data_dir, split)


def build(options, loaded, seed):
    """Returns the compiled classifier; its `with_graphs` applies the graphs."""
    source, transfer = make_graphs(options, seed, options.max_length)
    # After the graphs, so that all sources start from the same weights.
    keras.utils.set_random_seed(seed)
    model = gk.models.TextClassifier(
        loaded.features.layers(),
        graphs=source,
        transfer=transfer,
        placement=options.placement,
        num_classes=2,
        hidden_dim=options.hidden_dim,
        use_rnn=options.rnn,
        dropout=options.dropout,
        seed=seed,
    )
    model.compile(
        keras.optimizers.Adam(
            run.learning_rate(options, loaded), global_clipnorm=1.0
        ),
        {"logits": LOSS},
        metrics={"logits": keras.metrics.SparseCategoricalAccuracy("accuracy")},
        jit_compile=JIT_COMPILE[options.jit_compile],
    )
    return model


def callbacks(options):
    """Returns the callback that changes the learning rate, if any."""
    if options.schedule == "cosine":
        return []
    return [
        keras.callbacks.LearningRateScheduler(
            lambda epoch: (
                options.learning_rate * options.learning_rate_decay**epoch
            )
        )
    ]


def evaluate(options, loaded, model, folder):
    """Writes predictions.csv; returns accuracy and loss on the test set."""
    reviews = loaded.texts["test"]
    logits = run.predict(options, model, loaded.tests["test"])["logits"]
    predicted = logits.argmax(axis=1)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[:, 1]
    with training.atomic_file(folder.path / "predictions.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "label", "predicted", "probability"])
        for *row, probability in zip(
            reviews.ids, reviews.labels, predicted, probabilities, strict=True
        ):
            writer.writerow([*row, f"{probability:.4f}"])
    return {
        "test_accuracy": float((predicted == reviews.labels).mean()),
        "test_loss": float(keras.ops.mean(LOSS(reviews.labels, logits))),
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
