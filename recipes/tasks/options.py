"""Options that all recipes of tasks have."""

import dataclasses
import pathlib
from dataclasses import fields
from typing import Literal

import glomo_keras as gk
from glomo_keras import data
from recipes.common import check_above_zero
from recipes.common import check_positive
from recipes.common import check_rate
from recipes.common import refuse
from recipes.seeds import SeedOptions
from recipes.seeds import check_seeds
from recipes.tasks.features import check_features

PREDICTED = ("predicted", "random")
"""Sources of graphs that come from a predictor."""
FEATURES = (
    "glove",
    "elmo",
    "pretrained",
    "glove+elmo",
    "glove+pretrained",
    "elmo+pretrained",
)
MIXTURE_ONLY = ("num_mixtures", "conditioned", "products")
"""Options that `--transfer heads` does not know."""


@dataclasses.dataclass(kw_only=True)
class DataOptions:
    data_dir: pathlib.Path | None = None
    """Folder of the official files; with --tfds that of prepared data sets."""
    tfds: str | None = None
    """Name of a TFDS data set to read instead of the official files."""
    limit: int | None = None
    """Examples taken of each split, for a small run."""
    split_seed: int = 0
    """Draws the held-out examples and those of --limit, the same for all
    seeds of a run."""


@dataclasses.dataclass(kw_only=True)
class GraphOptions:
    graph: Literal["none", "predicted", "uniform", "decay", "random"] = "none"
    """none: the baseline; predicted: the graphs of --predictor; uniform: equal
    weights (with --transfer heads as many graphs as the --graph-layers of
    --predictor have heads); decay: weights that fall with distance, at rates
    that are trained, one for each head of the --graph-layers of --predictor;
    random: the same predictor, untrained."""
    transfer: Literal["mixture", "heads"] = "mixture"
    """mixture: the paper's, all features times mixtures of the graphs; heads:
    every head multiplies a projection of the features of its own."""
    placement: Literal["embeddings", "states"] = "embeddings"
    """Whether the graphs multiply the embeddings or the states of the first
    RNN."""
    matched: bool = False
    """No graphs; the model is widened until it has as many trained parameters
    as the same command without --matched."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    num_mixtures: int = 1
    """Mixtures of the graphs, in each direction."""
    conditioned: bool = False
    """Mixture weights from the features rather than free parameters."""
    products: bool = True
    """Whether products of graph layers are mixed in."""
    graph_layers: tuple[int, ...] = ()
    """Numbers of the predictor's graph layers, from 1; no number: all."""
    graph_units: int | None = None
    """Width of what the graphs add; None: that of the features."""
    graph_dropout: float = 0.0
    """Dropout of the inputs of the mixture weights and of the gate."""
    gate_bias: float = 0.0
    """First bias of the gate; at -3 training starts nearly without graphs."""
    predictor_precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Of the predictor's convolutions; its graphs are made in float32."""


@dataclasses.dataclass(kw_only=True)
class FeatureOptions:
    features: Literal[FEATURES] = "glove"
    """glove: word vectors in GloVe's text format, frozen; elmo: the layers of
    a published ELMo, frozen, their mix trained; pretrained: the same with the
    feature predictor of --pretrainer; or several, concatenated."""
    vectors: pathlib.Path | None = None
    """The file of word vectors."""
    elmo_options: pathlib.Path | None = None
    """The options.json of an ELMo."""
    elmo_weights: pathlib.Path | None = None
    """Its HDF5 file of weights."""
    pretrainer: pathlib.Path | None = None
    """Preset of a whole pretrainer: the name of one of the package, or the
    folder OUT/pretrainer of recipes.pretrain.text. --predictor may name it
    too."""


@dataclasses.dataclass(kw_only=True)
class FitOptions(SeedOptions):
    epochs: int
    """Passes over the training examples, if --steps-per-epoch is not given."""
    steps_per_epoch: int | None = None
    """Steps between two validations; a pass over the examples by default."""
    patience: int = 3
    """Validations without gain after which training stops."""
    batch_size: int
    learning_rate: float


@dataclasses.dataclass(kw_only=True)
class TaskOptions(DataOptions, GraphOptions, FeatureOptions, FitOptions):
    """Options of every task; a recipe adds its own and gives the defaults."""


@dataclasses.dataclass(kw_only=True)
class ClassifierOptions(TaskOptions):
    """Options of the tasks that name the class of a text or a pair."""

    train_examples: int | None = None
    """Training examples, drawn by the seed; all of them by default."""
    validation_fraction: float = 0.1
    """Share of the training reviews, or premises, held out to choose the best
    epoch."""
    rnn: bool = True
    """Whether the model has RNNs. Without them only the graphs carry the order
    of words."""
    schedule: Literal["epochs", "cosine"] = "epochs"
    """Of the learning rate. epochs: the recipe's own, which changes after an
    epoch; cosine: a twentieth of the steps up, from a tenth of the rate, then
    half a cosine down to 0."""


def check_classifier(options):
    """Refuses options that no classifier can work with, as `check_task`."""
    check_task(options)
    check_positive(options, "train_examples")
    if not 0 < options.validation_fraction < 1:
        refuse("validation_fraction", "between 0 and 1", options)
    if options.placement == "states" and not options.rnn:
        refuse("placement", "embeddings with --no-rnn", options)


def check_task(options):
    """Refuses options that no recipe of a task can work with.

    Raises:
        ValueError: If an option is out of its range or missing, a file is
            missing or damaged, or there is no such preset.
    """
    check_positive(options, "limit")
    if options.data_dir is None and options.tfds is None:
        raise ValueError(
            "Say where the data are: --data-dir FOLDER of the official files, "
            "or --tfds NAME. Received: data_dir=None, tfds=None"
        )
    check_training(options)


def check_training(options):
    """Refuses options of graphs, features and training, as `check_task`."""
    check_positive(
        options,
        "epochs",
        "batch_size",
        "patience",
        "num_mixtures",
        "steps_per_epoch",
        "graph_units",
    )
    check_rate(options, "graph_dropout")
    check_transfer(options)
    check_above_zero(options, "learning_rate")
    check_seeds(options)
    if options.matched and options.graph == "none":
        refuse("matched", "for a --graph whose parameters to match", options)
    if reads_predictor(options):
        data.WordTokenizer.from_preset(options.predictor)
        if options.graph_layers:
            check_graph_layers(options)
    check_features(options)
    if options.graph in PREDICTED and "pretrained" in options.features:
        check_same_words(options)


def reads_predictor(options):
    """Returns whether the graphs are a predictor's, or as many as its own."""
    of_heads = options.graph == "uniform" and options.transfer == "heads"
    return options.graph in (*PREDICTED, "decay") or of_heads


def check_transfer(options):
    """Refuses options of the mixture where there is none."""
    defaults = {field.name: field.default for field in fields(options)}
    for name in MIXTURE_ONLY:
        value = getattr(options, name)
        if options.transfer == "heads" and value != defaults[name]:
            refuse(name, "an option of --transfer mixture", options)


def check_graph_layers(options):
    """Refuses what are not different graph layers of the predictor."""
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    given, count = options.graph_layers, predictor.num_graph_layers
    if len({*given} & {*range(1, count + 1)}) < len(given):
        wanted = f"different numbers from 1 to {count}, layers of --predictor"
        refuse("graph_layers", wanted, options)


def check_same_words(options):
    """Refuses a predictor and a pretrainer whose ids mean different words."""
    tokenizers = [
        data.WordTokenizer.from_preset(preset)
        for preset in (options.predictor, options.pretrainer)
    ]
    names = ("vocabulary", "lowercase", "numbers", "normalize_unicode")
    differ = [
        name
        for name in names
        if len({str(getattr(each, name)) for each in tokenizers}) > 1
    ]
    if differ:
        raise ValueError(
            "--predictor and --pretrainer must have the same vocabulary and "
            "tokenizer, since a model has one input of ids; --predictor may "
            f"name the folder of the pretrainer too. They differ in {differ}. "
            f"Received: predictor={options.predictor}, "
            f"pretrainer={options.pretrainer}"
        )
