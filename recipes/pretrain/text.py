"""Pretrains a graph predictor on text: Sec. 2.1 of the paper.

    python -m recipes.pretrain.text --corpus 'wiki/AA/wiki_*' --out runs/wiki

`--corpus` takes text files, folders, globs, WikiExtractor files and TFDS
names (`tfds:wiki40b/en`), several of them if need be, or one file packed by
`recipes.pretrain.pack`, which needs no TensorFlow. `--config small` takes one
core of a CPU that computes in bfloat16 one to two hours with `--precision
mixed_bfloat16`, `medium` about six and a half; `base` has the paper's sizes
with 20,000 words and Adam, `official` what the released code ran: 100,001
words, SGD with learning rate 8, halved after three evaluations without gain,
stopped below 0.08.

The first run tokenises the corpus into `--cache`. OUT is a run folder:
config.json, data.json, history.csv, timing.csv, metrics.json, tensorboard/,
figures/, checkpoint/; `OUT/preset` is what `GraphPredictor.from_preset`
loads, `OUT/pretrainer` the whole model. Killed at any moment and started
again with the same command, the run goes on, unless the text has changed; an
epoch (`--steps-per-epoch` steps) is what is redone. `--minutes` ends it in
time, with presets of what has been learned so far. `--num-processes 2`
trains with two processes, here or on several machines: docs/scale.md.
`--start-from OUT/pretrainer` goes on from the weights of another run, with its
vocabulary, on the same text or another; a packed corpus must have it.
`--messages` and `--rotary-heads` may be other ones.
"""

import dataclasses

import keras
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras import training
from glomo_keras.data.text.windows import MIN_ROW_WORDS
from glomo_keras.utils.files import digest
from recipes.common import check_at_least
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.common import fingerprint
from recipes.common import read_options
from recipes.common import refuse
from recipes.pretrain import pack
from recipes.pretrain import processes
from recipes.pretrain import steps
from recipes.pretrain.text_options import Options
from recipes.pretrain.text_options import resolve


def pretrain(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        `pathlib.Path`, the folder of the preset.
    """
    options = resolve(options)
    check(options)
    if options.is_helper:
        processes.train(options, train_part)
        return options.out / "preset"
    with steps.start(options) as folder:
        if not folder.finished:
            corpus = load(options)
            folder.check_data(describe(corpus, options))
            in_time = processes.train(options, train_part)
            pretrainer = build(options, corpus)
            try:
                if not in_time:
                    raise steps.TimeIsUp
                history = fit(options, corpus, pretrainer, folder)
                report(options, corpus, pretrainer, history, folder)
            except steps.TimeIsUp:
                steps.save_unfinished(pretrainer, folder)
    return folder.path / "preset"


def check(options):
    """Refuses options out of their range, before any work."""
    steps.check(options)
    processes.check(options)
    check_positive(options, "patience", "context_length")
    check_not_negative(options, "num_candidates")
    check_at_least(MIN_ROW_WORDS, options, "max_length")
    if not 0 < options.validation_fraction < 1:
        refuse("validation_fraction", "above 0 and below 1", options)
    width = options.embedding_dim
    if options.messages == "slices" and width % options.num_heads:
        refuse("num_heads", f"a divisor of the {width} channels", options)


def train_part(options):
    """Trains as one of several processes; returns False if time is up."""
    folder = steps.start_part(options)
    corpus = load(options)
    training.check_same({"text": describe(corpus, options)})
    try:
        fit(options, corpus, build(options, corpus), folder)
    except steps.TimeIsUp:
        return False
    return True


def read_run(run, needed=()):
    """Reads the options of a finished run, see `read_options`.

    A run that started from a preset has the same vocabulary in a preset of
    its own, which is there when the other is gone.
    """
    options = read_options(run, Options, needed)
    if options.start_from is None:
        return options
    return dataclasses.replace(options, start_from=run / "pretrainer")


def load(options):
    """Returns the tokenised corpus, from a packed file or the cache."""
    if pack.is_packed(options.corpus):
        corpus = pack.open_packed(options)
    else:
        vocabulary = None
        if options.start_from is not None:
            start = data.WordTokenizer.from_preset(options.start_from)
            vocabulary = start.vocabulary
            for name in ("lowercase", "numbers", "normalize_unicode"):
                if getattr(start, name) != getattr(options, name):
                    refuse(name, "that of --start-from", options)
        corpus = data.prepare_corpus(
            list(options.corpus),
            options.cache.expanduser(),
            vocabulary=vocabulary,
            **pack.tokenise_options(options),
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


def describe(corpus, options):
    """Returns facts that identify the corpus and the starting weights."""
    return {**describe_text(corpus), **steps.start_facts(options)}


def describe_text(corpus):
    """Returns sizes and checksums of a corpus and its vocabulary."""
    train, held_out = corpus.train, corpus.validation
    arrays = {
        "train": train.token_ids,
        "held_out": held_out.token_ids,  # the same words: texts tell them apart
        "held_out_texts": held_out.text_starts,
    }
    return {
        "vocabulary": digest(corpus.vocabulary),
        "words": corpus.num_words,
        "held_out_words": held_out.num_words,
        **fingerprint(arrays),
    }


def build(options, corpus):
    """Returns the compiled pretrainer."""
    predictor = make_predictor(options, len(corpus.vocabulary))
    predictor.vocabulary = corpus.vocabulary
    predictor.tokenizer_config = {
        "lowercase": options.lowercase,
        "numbers": options.numbers,
        "normalize_unicode": options.normalize_unicode,
    }
    return steps.compile_pretrainer(
        options, make_pretrainer(options, predictor), make_optimizer(options)
    )


def make_pretrainer(options, predictor):
    """Returns the pretrainer of the objective, untrained."""
    shared = {
        "num_candidates": options.num_candidates or None,
        "messages": options.messages,
        "composition": options.composition,
        "share_cell": options.share_cell,
        "empty_row_weight": options.empty_row_weight,
        "seed": options.seed,
    }
    if options.objective == "skip_thought":
        return gk.models.SkipThoughtPretrainer(predictor, **shared)
    return gk.ContextPretrainer(
        predictor,
        context_length=options.context_length,
        num_positions=options.num_positions or None,
        scale_embedding_gradient=options.optimizer == "sgd",
        **shared,
    )


def make_predictor(options, vocabulary_size):
    """Returns the graph predictor, untrained."""
    shared = {
        "vocabulary_size": vocabulary_size,
        "embedding_dim": options.embedding_dim,
        "num_heads": options.num_heads,
        "key_dim": options.key_dim,
        "num_graph_layers": options.num_graph_layers,
        "threshold": options.threshold,
        "activation": options.activation,
        "embeddings_initializer": keras.initializers.RandomUniform(
            -options.embedding_range, options.embedding_range
        ),
    }
    if options.coupled:
        return gk.models.CoupledGraphPredictor(
            **shared,
            composition=options.composition,
            share_cell=options.share_cell,
        )
    return gk.GraphPredictor(
        **shared,
        kernel_size=options.kernel_size,
        num_conv_layers=options.num_conv_layers,
        filters=options.filters,
        residual=options.residual,
        rotary_dim=options.rotary_dim,
        rotary_heads=rotary_heads(options),
        threshold_initializer=keras.initializers.Constant(
            options.first_threshold
        ),
        normalization=options.normalization,
        dropout=options.dropout,
    )


def rotary_heads(options):
    """Returns which heads `--rotary-heads` means; None for all."""
    if options.rotary_heads == "all":
        return None
    return [head % 2 == 1 for head in range(options.num_heads)]


def make_optimizer(options):
    """Returns Adam with a schedule, or the released code's SGD."""
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(
            options.learning_rate, momentum=0.2, global_clipnorm=0.25
        )
    return steps.adam(options)


def make_callbacks(options):
    """Returns early stopping; for SGD the released code's halving."""
    callbacks = [*steps.time_limit(options), keras.callbacks.TerminateOnNaN()]
    patience = options.patience or options.epochs
    if options.optimizer == "sgd":
        patience = options.epochs
        callbacks += [
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=0.5, patience=3, min_delta=0, verbose=1
            ),
            StopBelowLearningRate(options.learning_rate / 100),
        ]
    best = keras.callbacks.EarlyStopping(
        "val_loss", patience=patience, restore_best_weights=True, verbose=1
    )
    return [*callbacks, best]


class StopBelowLearningRate(keras.callbacks.Callback):
    """Ends the training when the learning rate has fallen below a value."""

    def __init__(self, lowest):
        super().__init__()
        self.lowest = lowest

    def on_epoch_end(self, epoch, logs=None):
        if float(self.model.optimizer.learning_rate) < self.lowest:
            self.model.stop_training = True


def fit(options, corpus, pretrainer, folder):
    """Trains, and returns the history of all epochs."""
    # XLA compiles the step anew for each length.
    compiled = pretrainer.jit_compile or keras.backend.backend() != "tensorflow"
    sampler = data.WindowSampler(
        corpus.train,
        options.batch_size,
        options.max_length,
        options.seed,
        few_lengths=compiled,
    )
    held_out = data.EvaluationWindows(
        corpus.validation, options.batch_size, options.max_length
    )
    job = training.current_job()
    sampler, held_out = (
        data.BatchPart(batches, job.index, job.size)
        for batches in (sampler, held_out)
    )
    return training.fit_resumable(
        pretrainer,
        lambda first_step: data.as_dataset(sampler, first_step),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        run_folder=folder,
        callbacks=make_callbacks(options),
        validation_data=data.as_dataset(
            held_out, num_steps=options.validation_steps or None
        ),
    )


def report(options, corpus, pretrainer, history, folder):
    """Saves the presets, draws graphs of held-out words, writes metrics."""
    metrics = steps.save(options, pretrainer, history, folder)
    draw_graphs(corpus, pretrainer.graph_predictor, folder)
    print(
        f"Held-out perplexity {metrics['val_forward_perplexity']:.1f} forward,"
        f" {metrics['val_backward_perplexity']:.1f} backward."
    )
    folder.write_metrics(
        {
            **metrics,
            "words": corpus.num_words,
            "unknown_rate": corpus.unknown_rate,
        }
    )


def draw_graphs(corpus, predictor, folder, num_words=16):
    """Draws the graphs of the first held-out words, all layers and heads."""
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


if __name__ == "__main__":
    pretrain(tyro.cli(Options))
