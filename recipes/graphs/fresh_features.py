"""One measurement of frozen graphs under freshly initialised features."""

import dataclasses
import pathlib
import time
from typing import Literal

import keras
import numpy as np

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras.data.text.windows import MIN_ROW_WORDS
from glomo_keras.data.vectors.vector_file import read_shape
from glomo_keras.ops.graphs import split_layers
from recipes.common import check_at_least
from recipes.common import check_each_once
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.common import refuse

SOURCES = ("learned", "untrained", "decay", "uniform", "none")
USES = ("heads", "mixture", "pretraining")


@dataclasses.dataclass(kw_only=True)
class ProbeOptions:
    """Options of each measurement."""

    uses: tuple[Literal[*USES], ...] = ("heads",)
    """How the graphs act, see `recipes.graphs.transfer_perplexity`."""
    directions: tuple[Literal["forward", "backward"], ...] = ("forward",)
    """Directions to train and measure; a second one doubles the time."""
    vectors: pathlib.Path | None = None
    """Word vectors in GloVe's text format, in place of fresh embeddings. For
    `--uses pretraining` the number of heads must divide their width."""
    embedding_dim: int = 128
    steps: int = 500
    batch_size: int = 16
    max_length: int = 64
    num_positions: int = 24
    num_candidates: int = 2000
    """Words from which the softmax is estimated in training; 0: all."""
    held_out_windows: int = 96
    """Held-out windows, evenly spaced, on which the perplexity is measured."""


class PretrainingUse(keras.layers.Layer):
    """Applies graphs as in pretraining: by layer, a slice for each head."""

    def __init__(self, num_layers, **kwargs):
        super().__init__(**kwargs)
        self.num_layers = num_layers

    def build(self, features_shape, graphs_shape):
        (name,) = graphs_shape
        self.direction = name.removesuffix("_graphs")
        self.features = gk.FeaturePredictor(
            features_shape[-1], self.num_layers, directions=(self.direction,)
        )

    def call(self, features, graphs, training=None):
        (graph,) = graphs.values()
        *_, top = self.features.layer_by_layer(
            self.direction, features, split_layers(graph)
        )
        return top

    def get_config(self):
        return {**super().get_config(), "num_layers": self.num_layers}


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(
        options,
        "steps",
        "batch_size",
        "embedding_dim",
        "max_length",
        "num_positions",
        "held_out_windows",
    )
    check_not_negative(options, "num_candidates")
    check_at_least(MIN_ROW_WORDS, options, "max_length")
    check_each_once(options, "uses", "directions")
    if options.vectors is not None and not options.vectors.is_file():
        refuse("vectors", "a file of word vectors", options)


def check_heads(options, num_heads):
    """Refuses features that `--uses pretraining` cannot cut into slices."""
    if "pretraining" not in options.uses:
        return
    wanted = f"a multiple of the {num_heads} heads"
    if options.vectors is None:
        if options.embedding_dim % num_heads:
            refuse("embedding_dim", wanted, options)
        return
    width, _ = read_shape(str(options.vectors), None)
    if width % num_heads:
        raise ValueError(
            f"The width of --vectors is {wanted}. "
            f"Received: width={width} in {options.vectors}"
        )


def measure(options, predictor, source, use, seeds, train, held_out):
    """Trains fresh features under frozen graphs and measures them.

    Args:
        options: `ProbeOptions`.
        predictor: a graph predictor, whose vocabulary the text has.
        source: one of `SOURCES`.
        use: one of `USES`.
        seeds: list of int.
        train: a `TokenStream`.
        held_out: dict of `token_ids` int32 (W, T) and `padding_mask`.

    Yields:
        Dict of each seed: `use`, `seed`, `source`, `perplexity`, on the
        held-out windows, and `seconds`.
    """
    measured = training.transfer_perplexities(
        make_source(source, predictor, options.directions),
        lambda seed: batches(options, train, seed),
        held_out,
        predictor.vocabulary_size,
        make_transfer(use, predictor),
        steps=options.steps,
        seeds=seeds,
        vectors=read_vectors(options, predictor),
        embedding_dim=options.embedding_dim,
        num_positions=options.num_positions,
        num_candidates=options.num_candidates or None,
        directions=options.directions,
    )
    start = time.perf_counter()
    for seed, metrics in zip(seeds, measured, strict=True):
        yield {
            "use": use,
            "seed": seed,
            "source": source,
            "perplexity": float(np.exp(metrics["loss"])),
            "seconds": round(time.perf_counter() - start, 1),
        }
        start = time.perf_counter()


def make_source(name, predictor, directions):
    """Returns a source with the predictor's numbers of layers and heads."""
    sizes = {
        "num_layers": predictor.num_graph_layers,
        "num_heads": predictor.num_heads,
        "directions": directions,
    }
    if name == "learned":
        return gk.models.PredictedGraphs(predictor)
    if name == "untrained":
        keras.utils.set_random_seed(1000)  # one for all seeds
        return gk.models.PredictedGraphs(keras.models.clone_model(predictor))
    if name == "decay":
        return gk.layers.DistanceDecayGraph(**sizes)
    if name == "uniform":
        return gk.layers.DistanceDecayGraph(**sizes, rate=0.0)
    return None


def make_transfer(use, predictor):
    """Returns the layer that applies the graphs."""
    if use == "heads":
        return gk.layers.MultiHeadTransfer()
    if use == "mixture":
        return gk.layers.GraphTransfer()
    return PretrainingUse(predictor.num_graph_layers)


def read_vectors(options, predictor):
    """Returns a frozen embedding of the word vectors, or None."""
    if options.vectors is None:
        return None
    vectors = data.read_word_vectors(options.vectors, predictor.vocabulary)
    return vectors.embedding()


def batches(options, stream, seed):
    """Returns the training dataset of one seed."""
    sampler = data.WindowSampler(
        stream, options.batch_size, options.max_length, seed, few_lengths=True
    )
    return data.as_dataset(sampler)
