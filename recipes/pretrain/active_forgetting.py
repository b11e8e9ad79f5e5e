r"""Trains a graph predictor for features that have never seen it.

    python -m recipes.pretrain.active_forgetting \
        --predictor glomo_medium_en --corpus 'wiki/AA/wiki_*' \
        --out runs/forgetting

In pretraining graphs and features learn together; the features of a task are
new to the graphs. Here they are new in every round: a fresh embedding,
transfer and decoders (`glomo_keras.models.TransferProbe`) learn for `--steps`
steps to predict the words around each word, and the predictor learns with
them. Forgetting all but what
is to be transferred is active forgetting (Chen et al. 2023, "Improving
Language Plasticity via Pretraining with Active Forgetting").

`--uses` are those of `recipes.graphs.transfer_perplexity`; several take turns.
The statistics of the predictor's normalisation stay as they are. The last
round is kept.

OUT is a run folder: config.json, data.json, history.csv with the perplexity
of each round on held-out text, timing.csv, evaluation.json, metrics.json,
checkpoint/; `OUT/preset` is what `GraphPredictor.from_preset` loads. The same
command resumes a run that was killed, at the start of a round. A larger
`--rounds` continues a finished run. A round of `glomo_medium_en` takes three
minutes on one core of an Intel Xeon; what it brought is in docs/history.md.
`recipes.pretrain.model_card` makes a preset for the package of it.
"""

import dataclasses
import pathlib
import time

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import training
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.training.checkpoint_store import CheckpointStore
from glomo_keras.utils.files import write_csv
from glomo_keras.utils.files import write_json
from recipes.common import check_above_zero
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.graphs import fresh_features
from recipes.pretrain import steps
from recipes.pretrain.evaluate import describe_corpus
from recipes.pretrain.evaluate import describe_graphs
from recipes.pretrain.evaluate import describe_windows
from recipes.pretrain.evaluate import held_out_windows

HARMLESS = ("out", "cache", "rounds")
"""Options that may differ in a run that goes on."""
FIRST_SEED = 1000
"""Of the first round. Measurements count from 0, so none repeats the fresh
weights or the batches of a round."""
GRAPH_WINDOWS = 32
"""Held-out windows whose graphs are described."""


@dataclasses.dataclass(kw_only=True)
class Options(fresh_features.ProbeOptions):
    """Trains a graph predictor under features that start afresh."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    out: pathlib.Path
    """The run folder."""
    predictor: str = "glomo_small_en"
    """The preset to start from: one of the package, or a preset folder."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised text is kept."""
    rounds: int = 40
    """How often the features start afresh."""
    learning_rate: float = 4e-3
    """The highest of each round, of features and predictor."""
    directions: tyro.conf.Suppress[tuple[str, ...]] = DIRECTIONS
    # Both: they share the predictor's embeddings.
    validation_fraction: float = 0.01
    seed: int = 0
    overwrite: bool = False
    """Empty a run folder that holds a run with other options."""


class LearningGraphs(keras.layers.Layer):
    """Returns a predictor's graphs and lets gradients through."""

    input_names = ("token_ids", "padding_mask")

    def __init__(self, predictor, **kwargs):
        super().__init__(**kwargs)
        self.factored = predictor.factored()

    def call(self, inputs):
        # Normalisation keeps its statistics.
        return self.factored(inputs, training=False)


def main(options):
    """Runs the recipe; returns the path of the preset."""
    check(options)
    settings = dataclasses.asdict(options)
    del settings["overwrite"]
    folder = training.RunFolder(options.out, steps.RESULTS)
    with folder.start(settings, HARMLESS, options.overwrite):
        predictor = gk.GraphPredictor.from_preset(
            options.predictor, trainable=True
        )
        fresh_features.check_heads(options, predictor.num_heads)
        corpus, held_out = load(options, predictor)
        folder.check_data(
            fresh_features.describe(options, corpus.train, held_out)
        )
        state = train_rounds(options, predictor, corpus.train, held_out, folder)
        report(options, predictor, corpus, held_out, state, folder)
    return folder.path / "preset"


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(options, "rounds")
    check_above_zero(options, "learning_rate")
    check_not_negative(options, "seed")
    fresh_features.check(options)
    steps.check_start(options, "predictor")


def load(options, predictor):
    """Returns the tokenised corpus and windows of its held-out part."""
    corpus = fresh_features.tokenise(
        options,
        predictor,
        options.corpus,
        options.validation_fraction,
        options.seed,
    )
    windows = held_out_windows(
        corpus.validation, options.max_length, options.held_out_windows
    )
    return corpus, windows


def train_rounds(options, predictor, train, held_out, folder):
    """Makes the missing rounds; returns the rows of history and timing."""
    store = CheckpointStore(folder.checkpoint_dir)
    state = restore(store, predictor)
    graphs = LearningGraphs(predictor)
    missing = range(len(state["history"]), options.rounds)
    if missing:  # the run is not finished any more
        folder.metrics_path.unlink(missing_ok=True)
    # Each use has a probe of its own; all train the same predictor.
    rounds = {
        use: fresh_features.learn(
            options,
            predictor,
            graphs,
            use,
            [seed_of(options, n) for n in missing if use_of(options, n) == use],
            train,
            held_out,
            learning_rate=options.learning_rate,
            reset_graphs=False,
            verbose="auto",
        )
        for use in options.uses
    }
    for number in missing:
        start = time.process_time()
        use = use_of(options, number)
        state["history"].append(row_of(number, use, next(rounds[use])))
        seconds = round(time.process_time() - start, 1)
        state["timing"].append({"round": number + 1, "cpu_seconds": seconds})
        save(store, state, predictor, folder)
    return state


def seed_of(options, number):
    """Returns the seed of a round, counted from 0."""
    return FIRST_SEED * (1 + options.seed) + number


def use_of(options, number):
    """Returns how graphs are used in a round, counted from 0."""
    return options.uses[number % len(options.uses)]


def row_of(number, use, metrics):
    """Returns the row of a round; refuses one that diverged."""
    if not np.isfinite(metrics["loss"]):
        raise RuntimeError(
            f"The training diverged in round {number + 1}: start again in "
            "another folder with a lower learning rate. "
            f"Received: loss={metrics['loss']}"
        )
    values = [metrics[f"{direction}_perplexity"] for direction in DIRECTIONS]
    names = [f"{use}_{direction}_perplexity" for direction in DIRECTIONS]
    print(
        f"Round {number + 1}, {use}: held-out perplexity {values[0]:.1f} "
        f"forward, {values[1]:.1f} backward."
    )
    return {"round": number + 1, **dict(zip(names, values, strict=True))}


def restore(store, predictor):
    """Gives the predictor the newest weights; returns the rows so far."""
    found = store.load()
    if found is None:
        return {"history": [], "timing": []}
    weights, state = found
    predictor.set_weights([weights[str(n)] for n in range(len(weights))])
    return state


def save(store, state, predictor, folder):
    """Keeps the preset, the rows and the weights of a round."""
    predictor.save_to_preset(folder.path / "preset")
    write_csv(folder.history_path, state["history"])
    write_csv(folder.timing_path, state["timing"])
    # Last: a round without a checkpoint is redone.
    weights = {str(n): x for n, x in enumerate(predictor.get_weights())}
    store.save(len(state["history"]), weights, state)


def report(options, predictor, corpus, held_out, state, folder):
    """Writes what the model card shows, and the metrics."""
    evaluation = {
        "corpus": describe_corpus(corpus, options),
        "windows": describe_windows(held_out),
        "graphs": describe_graphs(predictor, held_out, GRAPH_WINDOWS),
    }
    write_json(folder.path / "evaluation.json", evaluation)
    # The last round of each use.
    last = {name: x for row in state["history"] for name, x in row.items()}
    rounds = last.pop("round")
    seconds = sum(row["cpu_seconds"] for row in state["timing"])
    folder.write_metrics(
        {
            "rounds": rounds,
            "steps": options.steps * rounds,
            "cpu_hours": seconds / 3600,
            **last,
        }
    )
    print(f"Preset: {folder.path / 'preset'}")


if __name__ == "__main__":
    main(tyro.cli(Options))
