"""Options of `recipes.pretrain.text`, and the configurations `--config`."""

import dataclasses
from typing import Literal

from recipes.common import with_config
from recipes.pretrain.processes import ProcessOptions
from recipes.pretrain.steps import PretrainOptions

SMALL = {
    "vocabulary_size": 20_000,
    "embedding_dim": 128,
    "num_heads": 8,
    "key_dim": 16,
    "num_conv_layers": 2,
    "residual": False,
    "rotary_dim": 0,
    "rotary_heads": "all",
    "first_threshold": 0.0,
    "messages": "slices",
    "empty_row_weight": 0.0,
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
}
MEDIUM = {
    **SMALL,
    "key_dim": 32,
    "num_conv_layers": 3,
    "filters": 256,
    "residual": True,
    "rotary_dim": 16,
    "rotary_heads": "even",
    "first_threshold": -1.0,
    "messages": "mixture",
    "empty_row_weight": 0.1,
    "num_positions": 36,
    "num_candidates": 2000,
    "learning_rate": 3e-3,
    "steps_per_epoch": 250,
    "epochs": 240,
}
BASE = {
    "vocabulary_size": 20_000,
    "embedding_dim": 512,
    "num_heads": 8,
    "key_dim": 256,
    "num_conv_layers": 4,
    "residual": False,
    "rotary_dim": 0,
    "rotary_heads": "all",
    "first_threshold": 0.0,
    "messages": "slices",
    "empty_row_weight": 0.0,
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
}
OFFICIAL = {
    **BASE,
    "vocabulary_size": 100_001,
    "learning_rate": 8.0,
    "optimizer": "sgd",
    "steps_per_epoch": 4000,
    "epochs": 1000,
    "lowercase": False,
}
CONFIGS = {"small": SMALL, "medium": MEDIUM, "base": BASE, "official": OFFICIAL}


@dataclasses.dataclass(kw_only=True)
class Options(ProcessOptions, PretrainOptions):
    """Pretrains a graph predictor on text. None: the value of `config`."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    config: Literal["small", "medium", "base", "official"] = "small"
    """Source of the values that are not given."""

    # The text.

    vocabulary_size: int | None = None
    lowercase: bool | None = None
    numbers: Literal["keep", "N"] = "N"
    """Whether a token with a digit becomes the token N."""
    normalize_unicode: bool = True
    """Whether a word gets one id however it is typed in Unicode."""
    min_paragraph_words: int = 5
    """Shorter paragraphs are left out."""
    validation_fraction: float = 0.01
    """Share of the texts that is held out."""

    # The model.

    objective: Literal["context", "skip_thought"] = "context"
    """What is predicted: the words around each position, or the other half of
    the window from one vector, see `SkipThoughtPretrainer`. That takes no
    `--context-length` and `--num-positions`, and with `--optimizer sgd` does
    not scale the gradient of the embedding."""
    filters: int | None = None
    """Channels of the convolutions; as many as the embedding has, if None."""
    residual: bool | None = None
    """Whether each convolution adds to its input."""
    first_threshold: float | None = None
    """First value of the thresholds; below 0, rows start with more edges."""
    rotary_dim: int | None = None
    """Dimensions of keys and queries that know their position."""
    rotary_heads: Literal["all", "even"] | None = None
    """Heads whose keys and queries do: all, or the second, the fourth and so
    on, the same in each layer."""
    messages: Literal["slices", "values", "mixture"] | None = None
    """How the heads act on the features, see `FeaturePredictor`."""
    context_length: int = 3
    """Words predicted on each side, D."""
    num_candidates: int | None = None
    """Words from which the softmax is estimated in training; 0: all."""
    empty_row_weight: float | None = None
    """Weight of a loss that gives rows without an edge one."""
    normalization: Literal["batch", "layer", "none"] = "batch"
    embedding_range: float | None = None
    """Embeddings start uniform in [-range, range]."""
    coupled: bool = False
    """The ablation without a graph network of its own: options of its
    convolutions, rotary keys and first threshold have no effect."""

    # The training.

    optimizer: Literal["adam", "sgd"] | None = None
    """Adam with warm-up and cosine decay, or the released code's SGD."""
    max_length: int | None = None
    """Longest window of the text; windows are 0.51 to 1 times as long."""
    validation_steps: int = 20
    """Batches of held-out text per evaluation; 0 takes all."""
    patience: int | None = None
    """Adam: stops after this many epochs without gain. Defaults to the whole
    schedule; the best epoch is kept in any case."""


def resolve(options):
    """Returns the options with the values of `config` for those left None."""
    return with_config(options, CONFIGS)
