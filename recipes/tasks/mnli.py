"""MultiNLI with ESIM and self-attention, with and without graphs (Sec. 3.1).

    python -m recipes.tasks.mnli --data-dir mnli --vectors glove.840B.300d.txt \\
        --graph glomo --seeds 2 --out runs/mnli-glomo

`--data-dir` is the folder with `multinli_1.0_train.jsonl`,
`multinli_1.0_dev_matched.jsonl` and `multinli_1.0_dev_mismatched.jsonl`;
`--tfds multi_nli` or `--tfds glue/mnli` reads prepared TFDS data instead.
Pairs labelled "-" are dropped and counted. The labels of the test sets are
not public, so the two dev sets are what is tested on, once, after training:
the best epoch is chosen by a part of the training set, held out by premise.

OUT/seed-N holds config.json, data.json, history.csv, metrics.json
(`matched_accuracy`, `mismatched_accuracy`), figures/ and the predictions as
GLUE takes them,
`MNLI-m.tsv` and `MNLI-mm.tsv`, whose index counts the labelled pairs of the
dev file (with --limit, those drawn from it) from 0. Killed and started again
with the same command, it goes on as the same run.

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
from glomo_keras.training import atomic_file
from recipes.checks import refuse
from recipes.tasks import graphs
from recipes.tasks import run
from recipes.tasks.features import make_features
from recipes.tasks.options import TaskOptions
from recipes.xla import JIT_COMPILE

FILES = {"matched": "MNLI-m.tsv", "mismatched": "MNLI-mm.tsv"}


@dataclasses.dataclass(kw_only=True)
class Options(TaskOptions):
    """MultiNLI with ESIM and self-attention, with and without graphs."""

    hidden_dim: int = 100
    """Units of the LSTMs in each direction and of the linear layers."""
    self_attention: bool = True
    """Whether ESIM has self-attention after its bi-inference."""
    dropout: float = 0.5
    max_length: int = 100
    """Words after which a text is cut."""
    validation_fraction: float = 0.1
    """Share of the training premises held out to choose the best epoch."""
    split_seed: int = 0
    """Draws the held-out premises, the same for all seeds of the run."""
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 4e-4
    """Of Adam; halved after an epoch without gain."""
    patience: int = 2


def load(options):
    """Reads, checks and splits the pairs; prepares their features."""
    made = make_features(options)
    parts = data.read_mnli(options.data_dir, options.tfds)
    dropped = {f"{k}_dropped": x.num_dropped for k, x in parts.items()}
    parts["train"], parts["validation"] = parts["train"].split(
        options.validation_fraction, options.split_seed
    )
    if options.limit is not None:
        rng = np.random.default_rng(options.split_seed)
        parts = {
            name: pairs.take(
                sorted(rng.permutation(len(pairs))[: options.limit])
            )
            for name, pairs in parts.items()
        }
    sizes = {f"{k}_pairs": len(x) for k, x in parts.items()}
    print(", ".join(f"{k} {v:,}" for k, v in {**sizes, **dropped}.items()))
    lexicon = data.Lexicon()
    rows = {k: tokenize(x, lexicon, options, k) for k, x in parts.items()}
    facts = made.prepare(lexicon.words)
    print(", ".join(f"{k} {v:,}" for k, v in facts.items()))
    tables = {**made.tables, **graphs.tables(options, lexicon)}
    examples = {
        name: data.Examples(
            rows[name],
            tables,
            {"logits": pairs.labels},
            few_lengths=run.needs_few_lengths(options),
        )
        for name, pairs in parts.items()
    }
    return run.TaskData(
        examples.pop("train"),
        examples.pop("validation"),
        made,
        lexicon,
        {**sizes, **dropped, **facts},
        extra=examples,
    )


def check(options):
    """Refuses what ESIM cannot be, before any work."""
    fraction = options.validation_fraction
    wanted = {
        "hidden_dim": ("at least 1", options.hidden_dim >= 1),
        "max_length": ("at least 1", options.max_length >= 1),
        "dropout": ("in [0, 1)", 0 <= options.dropout < 1),
        "validation_fraction": ("between 0 and 1", 0 < fraction < 1),
    }
    for name, (limits, fine) in wanted.items():
        if not fine:
            refuse(name, limits, options)


def tokenize(pairs, lexicon, options, name):
    """The words of both texts of all pairs, as numbers in the lexicon."""
    texts = {"premise": pairs.premises, "hypothesis": pairs.hypotheses}
    return {
        text: lexicon.add(
            values, options.max_length, description=f"{name} {text}"
        )[0]
        for text, values in texts.items()
    }


def build(options, loaded, made_graphs, width, seed):
    """The model, not compiled."""
    return gk.models.PairClassifier(
        loaded.features.layers(),
        made_graphs,
        num_classes=len(data.MNLI_LABELS),
        hidden_dim=width,
        self_attention=options.self_attention,
        dropout=options.dropout,
        seed=seed,
    )


def compile_model(options, model):
    model.compile(
        keras.optimizers.Adam(options.learning_rate, global_clipnorm=10.0),
        {
            "logits": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            )
        },
        metrics={
            "logits": [keras.metrics.SparseCategoricalAccuracy("accuracy")]
        },
        jit_compile=JIT_COMPILE[options.jit_compile],
    )


def callbacks(options, loaded):
    """ESIM's schedule, by the accuracy on the held-out part."""
    return [
        keras.callbacks.ReduceLROnPlateau(
            TASK.monitor, mode="max", factor=0.5, patience=1, min_delta=0
        )
    ]


def evaluate(options, model, loaded, folder):
    """Accuracies on the dev sets; writes the predictions."""
    metrics = {}
    for name, examples in loaded.extra.items():
        labels = examples.targets["logits"]
        logits = run.predict(options, model, examples)["logits"]
        found = logits.argmax(axis=-1)  # (N,)
        write_predictions(folder.path / FILES[name], found)
        metrics[f"{name}_accuracy"] = float(np.mean(found == labels))
        counts = np.bincount(labels, minlength=len(data.MNLI_LABELS))
        metrics[f"{name}_most_frequent_label"] = float(
            counts.max() / len(labels)
        )
    return metrics


def write_predictions(path, found):
    """The file that GLUE takes: index and label of each pair."""
    with atomic_file(path) as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "prediction"])
        for index, label in enumerate(found):
            writer.writerow([index, data.MNLI_LABELS[label]])


TASK = run.Task(
    check=check,
    load=load,
    build=build,
    compile=compile_model,
    evaluate=evaluate,
    results=tuple(FILES.values()),
    callbacks=callbacks,
)


def main(options):
    return run.run(TASK, options)


if __name__ == "__main__":
    main(tyro.cli(Options))
