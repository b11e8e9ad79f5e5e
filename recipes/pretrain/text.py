"""Pretrains a graph predictor on text: Sec. 2.1 of the paper.

    python -m recipes.pretrain.text --corpus 'wiki/AA/wiki_*' --out runs/wiki

`--corpus` takes text files, folders, globs, WikiExtractor files and TFDS
names (`tfds:wiki40b/en`), several of them if need be. `--config small` is
for a CPU, `base` the paper's sizes with 20,000 words and Adam, `official`
what the released code ran: 100,001 words, SGD with learning rate 8, halved
after three evaluations without gain, stopped below 0.08.

The first run tokenises the corpus into `--cache`. OUT is a run folder:
config.json, data.json, history.csv, metrics.json, tensorboard/, figures/,
checkpoint/; `OUT/preset` is what `GraphPredictor.from_preset` loads,
`OUT/pretrainer` the whole model. Killed at any moment and started again with
the same command, it goes on as the same run, unless the text has changed; an
epoch (`--steps-per-epoch` steps) is what is redone.
"""

import dataclasses
import pathlib
from typing import Literal

import keras
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras import training
from glomo_keras.data.tasks.batches import Batches
from glomo_keras.data.text.cache_files import digest
from recipes.pretrain import pack
from recipes.pretrain import pretraining

CONFIGS = {
    "small": {
        "vocabulary_size": 20_000,
        "embedding_dim": 128,
        "num_heads": 8,
        "key_dim": 16,
        "num_conv_layers": 2,
        "num_positions": 40,
        "num_candidates": 4000,
        "embedding_range": 0.5,
        "max_length": 100,
        "batch_size": 16,
        "learning_rate": 4e-3,
        "optimizer": "adam",
        "steps_per_epoch": 1000,
        "epochs": 18,
        "lowercase": True,
    },
    "base": {
        "vocabulary_size": 20_000,
        "embedding_dim": 512,
        "num_heads": 8,
        "key_dim": 256,
        "num_conv_layers": 4,
        "num_positions": 20,
        "num_candidates": 0,
        "embedding_range": 0.1,
        "max_length": 200,
        "batch_size": 32,
        "learning_rate": 3e-4,
        "optimizer": "adam",
        "steps_per_epoch": 1000,
        "epochs": 100,
        "lowercase": True,
    },
    "official": {
        "vocabulary_size": 100_001,
        "embedding_dim": 512,
        "num_heads": 8,
        "key_dim": 256,
        "num_conv_layers": 4,
        "num_positions": 20,
        "num_candidates": 0,
        "embedding_range": 0.1,
        "max_length": 200,
        "batch_size": 32,
        "learning_rate": 8.0,
        "optimizer": "sgd",
        "steps_per_epoch": 4000,
        "epochs": 1000,
        "lowercase": False,
    },
}


@dataclasses.dataclass
class Options:
    """Pretrains a graph predictor on text. None stands for `config`'s value."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    out: pathlib.Path
    """The run folder."""
    config: Literal["small", "base", "official"] = "small"
    """Where the values come from that are not given."""

    # The text.
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised corpus is kept."""
    vocabulary_size: int | None = None
    lowercase: bool | None = None
    numbers: Literal["keep", "N"] = "N"
    """Whether a token with a digit becomes the token N."""
    min_paragraph_words: int = 5
    validation_fraction: float = 0.01
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""

    # The model.
    embedding_dim: int | None = None
    num_heads: int | None = None
    key_dim: int | None = None
    kernel_size: int = 3
    num_conv_layers: int | None = None
    num_graph_layers: int = 3
    context_length: int = 3
    """Units predicted on each side, D."""
    num_positions: int | None = None
    """Positions decoded per batch and direction; 0 decodes all."""
    num_candidates: int | None = None
    """Words from which the softmax is estimated in training; 0: all."""
    threshold: Literal["query", "scalar"] = "query"
    activation: Literal["squared_relu", "square", "softmax"] = "squared_relu"
    composition: Literal["gru", "residual"] = "gru"
    share_cell: bool = True
    normalization: Literal["batch", "layer", "none"] = "batch"
    dropout: float = 0.0
    embedding_range: float | None = None
    """Embeddings start uniform in [-range, range]."""
    coupled: bool = False
    """The ablation without a graph network of its own."""

    # The training.
    optimizer: Literal["adam", "sgd"] | None = None
    """Adam with warm-up and cosine decay, or the released code's SGD."""
    learning_rate: float | None = None
    batch_size: int | None = None
    max_length: int | None = None
    """Longest window of the text; windows are 0.51 to 1 times as long."""
    steps_per_epoch: int | None = None
    epochs: int | None = None
    validation_steps: int = 20
    """Batches of held-out text per evaluation; 0 takes all."""
    patience: int = 10
    """Adam: epochs without gain after which training stops."""
    seed: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """On some processors bfloat16 is slower: docs/performance.md."""
    jit_compile: Literal["auto", "true", "false"] = "auto"
    """Whether XLA compiles the training step."""
    overwrite: bool = False
    """Empty a run folder that holds a run with other options."""


def resolve(options):
    """The options with the values of `config` for those that are None."""
    return pretraining.with_config(options, CONFIGS)


def pretrain(options, harmless=("out", "cache"), train=None):
    """Runs the recipe.

    Args:
        options: `Options`.
        harmless: names of options that may differ in a run that goes on.
        train: function called, and returning, as `fit`; `fit` if None.

    Returns:
        `pathlib.Path`, the folder of the preset.
    """
    return pretraining.run(
        resolve(options), harmless, load, describe, build, train or fit, report
    )


def load(options, folder=None):
    """The tokenised corpus, from a packed file or the cache if it is there."""
    if pack.is_packed(options.corpus):
        corpus = pack.open_packed(options)
    else:
        corpus = data.prepare_corpus(
            list(options.corpus),
            options.cache.expanduser(),
            vocabulary_size=options.vocabulary_size,
            lowercase=options.lowercase,
            numbers=options.numbers,
            min_paragraph_words=options.min_paragraph_words,
            validation_fraction=options.validation_fraction,
            seed=options.seed,
            data_dir=options.data_dir,
        )
    print(
        f"{corpus.num_words:,} words, {len(corpus.vocabulary):,} in the "
        f"vocabulary, {corpus.unknown_rate:.2%} of the words unknown; "
        f"{corpus.validation.num_words:,} words held out"
    )
    return corpus


def describe(corpus):
    """What tells a corpus from others."""
    return {
        "vocabulary": digest(corpus.vocabulary),
        "words": corpus.num_words,
        "held_out_words": corpus.validation.num_words,
    }


def build(options, corpus):
    """The compiled pretrainer."""
    pretrainer = gk.ContextPretrainer(
        vocabulary_size=len(corpus.vocabulary),
        embedding_dim=options.embedding_dim,
        num_heads=options.num_heads,
        key_dim=options.key_dim,
        kernel_size=options.kernel_size,
        num_conv_layers=options.num_conv_layers,
        num_graph_layers=options.num_graph_layers,
        context_length=options.context_length,
        num_positions=options.num_positions or None,
        num_candidates=options.num_candidates or None,
        threshold=options.threshold,
        activation=options.activation,
        composition=options.composition,
        share_cell=options.share_cell,
        normalization=options.normalization,
        dropout=options.dropout,
        embeddings_initializer=keras.initializers.RandomUniform(
            -options.embedding_range, options.embedding_range
        ),
        coupled=options.coupled,
        scale_embedding_gradient=options.optimizer == "sgd",
        seed=options.seed,
    )
    predictor = pretrainer.graph_predictor
    predictor.vocabulary = corpus.vocabulary
    predictor.tokenizer_config = {
        "lowercase": options.lowercase,
        "numbers": options.numbers,
    }
    return pretraining.compile_pretrainer(
        options, pretrainer, make_optimizer(options)
    )


def make_optimizer(options):
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(
            options.learning_rate, momentum=0.2, global_clipnorm=0.25
        )
    return pretraining.adam(options)


def make_callbacks(options):
    """Early stopping; for SGD the released code's halving instead."""
    halvings = options.optimizer == "sgd"
    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.EarlyStopping(
            "val_loss",
            patience=options.epochs if halvings else options.patience,
            restore_best_weights=True,
            verbose=1,
        ),
    ]
    if halvings:
        lowest = options.learning_rate / 100
        callbacks += [
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=0.5, patience=3, min_delta=0, verbose=1
            ),
            StopBelowLearningRate(lowest),
        ]
    return callbacks


class StopBelowLearningRate(keras.callbacks.Callback):
    """Ends the training when the learning rate has fallen below a value."""

    def __init__(self, lowest):
        super().__init__()
        self.lowest = lowest

    def on_epoch_end(self, epoch, logs=None):
        if float(self.model.optimizer.learning_rate) < self.lowest:
            self.model.stop_training = True


def fit(options, corpus, pretrainer, folder, callbacks=()):
    """Trains; returns the history of all epochs."""
    tensorflow = keras.backend.backend() == "tensorflow"
    make_dataset = data.as_dataset if tensorflow else Batches
    # XLA compiles the step anew for each length.
    compiled = pretrainer.jit_compile or not tensorflow
    windows = data.FewLengths if compiled else data.WindowSampler
    sampler = windows(
        corpus.train, options.batch_size, options.max_length, options.seed
    )
    held_out = data.EvaluationWindows(
        corpus.validation, options.batch_size, options.max_length
    )
    return training.fit_resumable(
        pretrainer,
        lambda first_step: make_dataset(sampler, first_step),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        run_folder=folder,
        callbacks=[*make_callbacks(options), *callbacks],
        validation_data=make_dataset(
            held_out, num_steps=options.validation_steps or None
        ),
    )


def report(options, corpus, pretrainer, folder, metrics):
    draw_graphs(corpus, pretrainer.graph_predictor, folder)
    print(
        f"Held-out perplexity {metrics['val_forward_perplexity']:.1f} forward,"
        f" {metrics['val_backward_perplexity']:.1f} backward."
    )
    return {"words": corpus.num_words, "unknown_rate": corpus.unknown_rate}


def draw_graphs(corpus, predictor, folder, num_words=16):
    """The graphs of the first held-out words, all layers and heads."""
    windows = data.EvaluationWindows(corpus.validation, 1, num_words)
    batch = windows.batch(0)
    words = int(batch["padding_mask"].sum())
    tokens = [corpus.vocabulary[i] for i in batch["token_ids"][0, :words]]
    for name, graphs in predictor(batch).items():
        analysis.plot_graph_grid(
            keras.ops.convert_to_numpy(graphs)[0, :, :, :words, :words],
            tokens,
            title=name.replace("_", " "),
            path=folder.figures_dir / f"{name}.png",
        )


def main(options):
    pretrain(options)


if __name__ == "__main__":
    main(tyro.cli(Options))
