r"""MultiNLI with ESIM and self-attention, with and without graphs (Sec. 3.1).

    python -m recipes.tasks.mnli --data-dir mnli \
        --vectors glove.840B.300d.txt --graph predicted --seeds 2 \
        --out runs/mnli/predicted

`--data-dir` is the folder with `multinli_1.0_train.jsonl`,
`multinli_1.0_dev_matched.jsonl` and `multinli_1.0_dev_mismatched.jsonl`;
`--tfds multi_nli` or `--tfds glue/mnli` reads prepared TFDS data instead.
Pairs labelled "-" are dropped and counted. The labels of the test sets are
not public, so the two dev sets are tested on, once, after training: the best
epoch is chosen by a part of the training set, held out by premise.

OUT/seed-N holds config.json, data.json, history.csv, metrics.json
(`matched_accuracy`, `mismatched_accuracy`), figures/ and the predictions as
GLUE takes them, `MNLI-m.tsv` and `MNLI-mm.tsv`, whose index counts the
labelled pairs of the dev file (with --limit, those drawn from it) from 0.

Reference: ESIM trained on all of MultiNLI with `--hidden-dim 300` and GloVe
840B has 77.0 matched and 76.8 mismatched (github.com/coetaur0/ESIM); the
paper has 77.14 and 77.40 for its baseline. Batch size, learning rate and
dropout are ESIM's, the width is one for a CPU. docs/tasks.md has what 3 % of
the training set gave, with its commands, times and hardware.
"""

import csv
import dataclasses

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from recipes.common import JIT_COMPILE
from recipes.common import check_positive
from recipes.common import check_rate
from recipes.seeds import run_seeds
from recipes.tasks import run
from recipes.tasks.graphs import make_graphs
from recipes.tasks.graphs import match_width
from recipes.tasks.options import ClassifierOptions
from recipes.tasks.options import check_classifier

FILES = {"matched": "MNLI-m.tsv", "mismatched": "MNLI-mm.tsv"}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MONITOR = "val_accuracy"


@dataclasses.dataclass(kw_only=True)
class Options(ClassifierOptions):
    """Trains and tests ESIM with self-attention on MultiNLI."""

    hidden_dim: int = 100
    """Units of the LSTMs in each direction and of the linear layers."""
    self_attention: bool = True
    """Whether ESIM has self-attention after its bi-inference."""
    dropout: float = 0.5
    max_length: int = 100
    """Words after which a text is cut."""
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 4e-4
    """Of Adam; halved after an epoch without gain."""
    patience: int = 2


def main(options):
    """Runs the recipe; returns the metrics of each seed."""
    check(options)
    results = [run.BEST, *FILES.values()]
    return run_seeds(options, load, train, run.describe, results)


def check(options):
    """Refuses options out of their range, before any work."""
    check_classifier(options)
    check_positive(options, "hidden_dim", "max_length")
    check_rate(options, "dropout")


def train(options, loaded, seed, folder):
    """Trains and tests a model; returns its metrics."""
    loaded = run.draw_examples(options, loaded, seed)
    model = build(match_width(options, loaded, build), loaded, seed)
    own = callbacks(options)
    metrics = run.fit(options, loaded, model, seed, folder, own, MONITOR)
    return metrics | evaluate(options, loaded, model, folder)


def load(options):
    """Reads, splits and tokenises the pairs."""
    pairs = data.read_mnli(options.data_dir, options.tfds)
    facts = {
        f"{name}_dropped": part.num_dropped for name, part in pairs.items()
    }
    pairs["train"], pairs["validation"] = pairs["train"].split(
        options.validation_fraction, options.split_seed
    )
    pairs = run.limited(options, pairs)
    facts |= {f"{name}_pairs": len(part) for name, part in pairs.items()}
    lexicon = data.Lexicon()
    rows = {k: tokenize(part, lexicon, options, k) for k, part in pairs.items()}
    print(", ".join(f"{name} {value:,}" for name, value in facts.items()))
    return run.make_data(options, lexicon, rows, pairs, FILES, facts)


def tokenize(pairs, lexicon, options, name):
    """Returns the words of both texts of all pairs, as lexicon numbers."""
    texts = {"premise": pairs.premises, "hypothesis": pairs.hypotheses}
    return {
        text: lexicon.add(
            values, options.max_length, description=f"{name} {text}"
        )[0]
        for text, values in texts.items()
    }


def build(options, loaded, seed):
    """Returns the compiled classifier, which applies the graphs."""
    source, transfer = make_graphs(options, seed, options.max_length)
    # After the graphs, so that all sources start from the same weights.
    keras.utils.set_random_seed(seed)
    model = gk.models.PairClassifier(
        loaded.features.layers(),
        graphs=source,
        transfer=transfer,
        placement=options.placement,
        num_classes=len(data.MNLI_LABELS),
        hidden_dim=options.hidden_dim,
        use_rnn=options.rnn,
        self_attention=options.self_attention,
        dropout=options.dropout,
        seed=seed,
    )
    model.compile(
        keras.optimizers.Adam(
            run.learning_rate(options, loaded), global_clipnorm=10.0
        ),
        {"logits": LOSS},
        metrics={"logits": keras.metrics.SparseCategoricalAccuracy("accuracy")},
        jit_compile=JIT_COMPILE[options.jit_compile],
    )
    return model


def callbacks(options):
    """Returns ESIM's schedule, by the accuracy on the held-out part."""
    if options.schedule == "cosine":
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            MONITOR, mode="max", factor=0.5, patience=1, min_delta=0
        )
    ]


def evaluate(options, loaded, model, folder):
    """Writes the predictions on the dev sets; returns the accuracies."""
    metrics = {}
    for name, examples in loaded.tests.items():
        labels = examples.targets["logits"]
        logits = run.predict(options, model, examples)["logits"]
        found = logits.argmax(axis=-1)  # (N,)
        write_predictions(folder.path / FILES[name], found)
        metrics[f"{name}_accuracy"] = float(np.mean(found == labels))
        metrics[f"{name}_most_frequent_label"] = float(
            np.bincount(labels).max() / len(labels)
        )
    return metrics


def write_predictions(path, found):
    """Writes the file that GLUE takes: index and label of each pair."""
    with training.atomic_file(path) as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "prediction"])
        for index, label in enumerate(found):
            writer.writerow([index, data.MNLI_LABELS[label]])


if __name__ == "__main__":
    main(tyro.cli(Options))
