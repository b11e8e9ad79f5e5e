r"""Tags parts of speech, a task of many decisions and little variance.

    python -m recipes.tasks.pos_tags --treebank en_ewt-ud-dev.conllu \
        --vectors glove.6B.50d.txt --graph predicted \
        --train-sentences 300 --seeds 10 --out runs/pos_tags/predicted-300

A linear layer names the universal part of speech of each word from frozen
word vectors (`glomo_keras.models.TokenClassifier`): without graphs it sees one
word, with graphs also what they collect from the others.

`--treebank` is a CoNLL-U file, split by document: a quarter of the sentences
are for the test, a seventh for validation, the same for all seeds. A seed
draws its `--train-sentences` from the rest. The epoch that is best in
validation is tested once. Each seed leaves a run folder OUT/seed-N.
"""

import dataclasses
import pathlib

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras.analysis import probes
from glomo_keras.utils.padding import pad_rows
from recipes.common import JIT_COMPILE
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.common import check_rate
from recipes.common import fingerprint
from recipes.common import refuse
from recipes.seeds import run_seeds
from recipes.tasks import run
from recipes.tasks.features import Features
from recipes.tasks.features import load_features
from recipes.tasks.graphs import make_graphs
from recipes.tasks.graphs import match_width
from recipes.tasks.graphs import preset_digests
from recipes.tasks.graphs import token_tables
from recipes.tasks.options import FeatureOptions
from recipes.tasks.options import FitOptions
from recipes.tasks.options import GraphOptions
from recipes.tasks.options import check_training

SHARES = {"test": 1 / 4, "validation": 1 / 7}
"""Of the sentences; whole documents."""
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(kw_only=True)
class Options(GraphOptions, FeatureOptions, FitOptions):
    """Trains and tests a linear tagger of words."""

    treebank: pathlib.Path
    """CoNLL-U file of Universal Dependencies, with documents."""
    train_sentences: int = 300
    """Sentences to train on, drawn by the seed."""
    max_length: int = 40
    """Words of a sentence that are read and asked, the first ones."""
    split_seed: int = 0
    """Draws the documents of the test and of validation."""
    hidden_dim: int = 0
    """Units of a hidden layer; 0: none."""
    dropout: float = 0.0
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-2
    patience: int = 4


@dataclasses.dataclass
class TreebankData:
    """The data of the recipe, ready for all seeds.

    Attributes:
        parts: dict of part to `(inputs, tags, weights)`, as `fit` takes them:
            dict of arrays `(N, T, ...)`, int32 `(N, T)`, float32 `(N, T)`, 0
            for padding.
        features: `Features`.
        tags: list of names.
    """

    parts: dict
    features: Features
    tags: list


def main(options):
    """Runs the recipe; returns the metrics of each seed."""
    check(options)
    return run_seeds(options, load, train, describe)


def check(options):
    """Refuses options out of their range, before any work."""
    check_training(options)
    check_positive(options, "train_sentences", "max_length")
    check_rate(options, "dropout")
    if options.placement != "embeddings":
        refuse("placement", "embeddings: the tagger has no RNN", options)
    if options.steps_per_epoch is not None:
        refuse("steps_per_epoch", "not an option here: --epochs", options)
    check_not_negative(options, "hidden_dim")
    if not options.treebank.is_file():
        refuse("treebank", "a CoNLL-U file", options)


def load(options):
    """Reads the treebank, splits it by document, and looks up its words."""
    sentences = probes.read_conllu(options.treebank)
    places = split(options, sentences)
    available = len(places["train"])
    if available < options.train_sentences:
        refuse("train_sentences", f"at most {available}", options)
    lexicon = data.Lexicon()
    rows = lexicon.add_words(
        [sentence.words[: options.max_length] for sentence in sentences]
    )
    features = load_features(options, lexicon)
    tables = {**features.tables, **token_tables(options, lexicon)}
    names = sorted({tag for sentence in sentences for tag in sentence.tags})
    tags = [
        np.array([names.index(tag) for tag in s.tags], "int32")
        for s in sentences
    ]
    parts = {
        name: as_arrays(
            [rows[i] for i in at],
            [tags[i][: options.max_length] for i in at],
            tables,
        )
        for name, at in places.items()
    }
    return TreebankData(parts, features, names)


def split(options, sentences):
    """Returns the numbers of the sentences of each part, by document.

    Raises:
        ValueError: If a part has no document.
    """
    documents = list(dict.fromkeys(s.document for s in sentences))
    order = np.random.default_rng(options.split_seed).permutation(
        len(documents)
    )
    by_document = {name: [] for name in documents}
    for number, sentence in enumerate(sentences):
        by_document[sentence.document].append(number)
    parts = {"test": [], "validation": [], "train": []}
    for index in order:
        name = next(
            (
                name
                for name, share in SHARES.items()
                if len(parts[name]) < share * len(sentences)
            ),
            "train",
        )
        parts[name] += by_document[documents[index]]
    if not all(parts.values()):
        raise ValueError(
            "The treebank must have several documents (# newdoc id), to be "
            f"split by. Received: {len(documents)} in {options.treebank}"
        )
    return parts


def as_arrays(rows, tags, tables):
    """Pads sentences to the longest, as `TreebankData.parts` has them."""
    inputs, _ = data.Examples({"": rows}, tables).take(range(len(rows)))
    mask = inputs["padding_mask"]
    padded, _ = pad_rows(tags, mask.shape[1])
    return inputs, padded, mask.astype("float32")


def describe(options, loaded):
    """Returns checksums of the data and the predictor of a run."""
    arrays = {
        f"{part}_{name}": x
        for part, (inputs, tags, _) in loaded.parts.items()
        for name, x in {**inputs, "tags": tags}.items()
    }
    return {
        **fingerprint(arrays),
        **loaded.features.checksums,
        **preset_digests(options),
    }


def train(options, loaded, seed, folder):
    """Trains and tests a model; returns its metrics."""
    model = build(match_width(options, loaded, build), loaded, seed)
    facts = run.describe_model(options, model)
    inputs, tags, weights = loaded.parts["train"]
    drawn = np.random.default_rng(seed).permutation(len(tags))
    drawn = drawn[: options.train_sentences]
    history = model.fit(
        {name: x[drawn] for name, x in inputs.items()},
        {"logits": tags[drawn]},
        sample_weight={"logits": weights[drawn]},
        validation_data=tuple(part(loaded, "validation").values()),
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping(
                "val_accuracy",
                mode="max",
                patience=options.patience,
                restore_best_weights=True,
            ),
        ],
        verbose=0,
    )
    training.check_finite(history)
    scores = model.evaluate(
        **part(loaded, "test"),
        batch_size=options.batch_size,
        return_dict=True,
        verbose=0,
    )
    return {
        **loaded.features.facts,
        **facts,
        "train_sentences": options.train_sentences,
        "epochs": len(history.epoch),
        "val_accuracy": float(max(history.history["val_accuracy"])),
        "test_accuracy": float(scores["accuracy"]),
    }


def part(loaded, name):
    """Returns the arguments of `evaluate` for a part."""
    inputs, tags, weights = loaded.parts[name]
    return {
        "x": inputs,
        "y": {"logits": tags},
        "sample_weight": {"logits": weights},
    }


def build(options, loaded, seed):
    """Returns the compiled tagger."""
    source, transfer = make_graphs(options, seed, options.max_length)
    # After the graphs, so that all sources start from the same weights.
    keras.utils.set_random_seed(seed)
    model = gk.models.TokenClassifier(
        loaded.features.layers(),
        graphs=source,
        transfer=transfer,
        num_classes=len(loaded.tags),
        hidden_dim=options.hidden_dim,
        dropout=options.dropout,
        seed=seed,
    )
    model.compile(
        keras.optimizers.Adam(options.learning_rate, global_clipnorm=1.0),
        {"logits": LOSS},
        weighted_metrics={
            "logits": keras.metrics.SparseCategoricalAccuracy("accuracy")
        },
        jit_compile=JIT_COMPILE[options.jit_compile],
    )
    return model


if __name__ == "__main__":
    main(tyro.cli(Options))
