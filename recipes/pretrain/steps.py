"""Options and steps that pretraining on text and on images share."""

import dataclasses
import pathlib
import time
import warnings
from typing import Literal

import keras

from glomo_keras import training
from glomo_keras.models import presets
from glomo_keras.training.warmup_cosine import warmup_cosine
from glomo_keras.utils import files
from glomo_keras.utils.files import digest
from recipes.common import JIT_COMPILE
from recipes.common import check_above_zero
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.common import check_rate
from recipes.common import refuse
from recipes.pretrain import processes

RESULTS = (
    *("preset", "pretrainer", "evaluation.json", "ngrams.json"),
    *("probes.*", "heads.csv", "transfer"),
)
"""What a run, and measurements of it, leave in its folder."""

HARMLESS = (
    "out",
    "cache",
    "minutes",
    "steps_per_execution",
    *processes.HARMLESS,
)
"""Options that may differ in a run that goes on."""

FREE = (
    "name",
    "dtype",
    "trainable",
    "seed",
    "dropout",
    "rotary_heads",
    "messages",
    "max_shift",
    "embeddings_initializer",
    "threshold_initializer",
    "num_positions",
    "num_candidates",
    "empty_row_weight",
    "scale_embedding_gradient",
)
"""Arguments in which a model may differ from the one that it starts from: they
change how it is trained, or what a short training adapts."""
SPLIT = ("seed", "validation_fraction", "validation_images", "limit")
"""Options that say which of the data are held out."""


@dataclasses.dataclass(kw_only=True)
class PretrainOptions:
    """Options of both pretrainings; None: the value of `config`."""

    out: pathlib.Path
    """The run folder."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the prepared data are kept."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""

    # The model.

    embedding_dim: int | None = None
    num_heads: int | None = None
    key_dim: int | None = None
    kernel_size: int = 3
    num_conv_layers: int | None = None
    num_graph_layers: int = 3
    threshold: Literal["query", "scalar"] = "query"
    """Whether each query has a threshold or each head, see
    `KeyQueryProjection`."""
    activation: Literal["squared_relu", "square", "softmax"] = "squared_relu"
    composition: Literal["gru", "residual"] = "gru"
    """The function v of Eq. 2, see `FeatureComposition`."""
    share_cell: bool = True
    """Whether all layers of features share it."""
    dropout: float = 0.0
    num_positions: int | None = None
    """Positions decoded per batch and direction; 0 decodes all."""

    # The training.

    learning_rate: float | None = None
    batch_size: int | None = None
    steps_per_epoch: int | None = None
    epochs: int | None = None
    seed: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """On some processors bfloat16 is slower: docs/performance.md."""
    jit_compile: Literal["auto", "true", "false"] = "auto"
    """Whether XLA compiles the training step."""
    steps_per_execution: int = 1
    """Steps between two looks at the loss; on a GPU about 10."""
    start_from: pathlib.Path | None = None
    """A preset of a pretrainer, such as OUT/pretrainer of another run, whose
    weights the training starts from. Optimizer and schedule start afresh."""
    minutes: float | None = None
    """When to stop at the latest; the same command goes on."""
    overwrite: bool = False
    """Empty a run folder that holds a run with other options."""


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(
        options,
        "epochs",
        "steps_per_epoch",
        "batch_size",
        "steps_per_execution",
        "embedding_dim",
        "num_heads",
        "key_dim",
        "kernel_size",
        "num_conv_layers",
        "num_graph_layers",
    )
    check_not_negative(options, "validation_steps", "num_positions")
    check_rate(options, "dropout")
    check_above_zero(options, "learning_rate")
    if options.steps_per_epoch % options.steps_per_execution:
        raise ValueError(
            "--steps-per-execution divides --steps-per-epoch. Received: "
            f"steps_per_execution={options.steps_per_execution}, "
            f"steps_per_epoch={options.steps_per_epoch}"
        )
    preset = options.start_from
    if preset is not None and preset.resolve().parent == options.out.resolve():
        # --overwrite would delete it before it is read.
        refuse("start_from", "a preset of another run than --out", options)
    if preset is not None:
        warn_of_other_split(options)


def start(options):
    """Takes the run folder of a pretraining, and sets seed and precision.

    Args:
        options: `PretrainOptions`, complete.

    Returns:
        `RunFolder`, for `with`.
    """
    settings = dataclasses.asdict(options)
    del settings["overwrite"]
    folder = training.RunFolder(options.out, RESULTS)
    folder.start(settings, HARMLESS, options.overwrite)
    if folder.finished:
        print(f"Finished before: {folder.metrics_path}")
    else:
        set_seed_and_precision(options)
    return folder


def set_seed_and_precision(options):
    """Sets both for all that follows in this process."""
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)


def start_part(options):
    """Starts one of several processes that train; another has the folder.

    Args:
        options: `PretrainOptions`, complete.

    Returns:
        `RunFolder`.
    """
    settings = dataclasses.asdict(options)
    for name in (*HARMLESS, "overwrite"):
        settings.pop(name, None)
    training.check_same(settings)
    set_seed_and_precision(options)
    return training.RunFolder(options.out, RESULTS)


def compile_pretrainer(options, pretrainer, optimizer):
    """Compiles a pretrainer, prints its size and returns it."""
    if options.start_from is not None:
        start_from(options.start_from, pretrainer)
    pretrainer.compile(
        optimizer=optimizer,
        jit_compile=JIT_COMPILE[options.jit_compile],
        steps_per_execution=options.steps_per_execution,
    )
    print(
        f"{pretrainer.count_params():,} parameters, "
        f"{pretrainer.graph_predictor.count_params():,} of them in the graph "
        f"predictor; XLA: {pretrainer.jit_compile}"
    )
    return pretrainer


def warn_of_other_split(options):
    """Warns if other data are held out than from the run of --start-from."""
    there = {}
    if options.start_from.is_dir():
        config = options.start_from.parent / "config.json"
        there = files.read_json_or_none(config) or {}
    differ = [
        f"{name} {there[name]} there, {getattr(options, name)} now"
        for name in SPLIT
        if name in there and there[name] != getattr(options, name, None)
    ]
    if differ:
        warnings.warn(
            "If these are the data of --start-from, it was trained on some of "
            f"what is held out now. Received: {', '.join(differ)}",
            stacklevel=2,
        )


def start_facts(options):
    """Returns the checksum of the weights that a run starts from."""
    if options.start_from is None:
        return {}
    return {"start_from": presets.weights_digest(options.start_from)}


def start_from(preset, pretrainer):
    """Gives a pretrainer the weights of a preset of the same architecture.

    If its `messages` differ, the weights that only it has stay as they were
    initialized.
    """
    start = type(pretrainer).from_preset(preset)
    ours, theirs = architecture(pretrainer), architecture(start)
    differing = [
        f"{name}={theirs.get(name)!r} there, {ours.get(name)!r} now"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    if differing:
        raise ValueError(
            "--start-from is a preset of the model that the other options "
            f"describe. Received: {preset}, {'; '.join(differing)}"
        )
    if start.messages == pretrainer.messages:
        pretrainer.set_weights(start.get_weights())
        return
    there = {weight.path: weight for weight in start.weights}
    fresh = []
    for weight in pretrainer.weights:
        if weight.path in there:
            weight.assign(there[weight.path])
        else:
            fresh.append(weight.path)
    print(f"Not in {preset}, so freshly initialized: {', '.join(fresh)}")


def architecture(pretrainer):
    """Returns the arguments of a pretrainer that are not `FREE`."""
    config = pretrainer.get_config()
    config |= config.pop("graph_predictor")["config"]
    vocabulary = config.pop("vocabulary", None)
    if vocabulary:
        config["vocabulary"] = digest(vocabulary)
    return {k: v for k, v in config.items() if k not in FREE}


def adam(options):
    """Returns Adam with warm-up and cosine decay over all steps."""
    steps = options.epochs * options.steps_per_epoch
    warmup, rate = min(steps // 20, 2000), options.learning_rate
    schedule = warmup_cosine(rate, steps, warmup, rate / 100, alpha=0.01)
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def save(options, pretrainer, history, folder):
    """Saves predictor and pretrainer, and returns the best epoch's metrics.

    Raises:
        RuntimeError: If the loss stopped being finite.
    """
    training.check_finite(history)
    save_presets(pretrainer, folder)
    losses = history.history["val_loss"]
    best = losses.index(min(losses))
    print(
        f"Epoch {best + 1} of {len(history.epoch)}. "
        f"Preset: {folder.path / 'preset'}"
    )
    return {
        "epochs": len(history.epoch),
        "best_epoch": best,
        "steps": len(history.epoch) * options.steps_per_epoch,
        **{name: values[best] for name, values in history.history.items()},
    }


def save_presets(pretrainer, folder):
    """Saves the predictor alone, and the whole pretrainer."""
    pretrainer.graph_predictor.save_to_preset(folder.path / "preset")
    pretrainer.save_to_preset(folder.path / "pretrainer")


class TimeIsUp(Exception):
    """Ends `fit` after an epoch whose checkpoint has been written."""


def time_limit(options):
    """Returns a list of the callback that ends the training in time, if any."""
    return [] if options.minutes is None else [TimeLimit(options.minutes)]


class TimeLimit(keras.callbacks.Callback):
    """Ends the training before an epoch that would not end in time.

    One epoch is made in any case.

    Args:
        minutes: float, from the time this object is made.
    """

    def __init__(self, minutes):
        super().__init__()
        self.deadline = time.monotonic() + 60 * minutes
        self.durations = []

    def on_epoch_begin(self, epoch, logs=None):
        now = time.monotonic()
        # The first epoch compiles; it says nothing about the others.
        expected = max(self.durations[1:] or self.durations or [0.0])
        late = bool(self.durations) and now + expected > self.deadline
        if training.decided_by_first(late):
            raise TimeIsUp
        self._begun = now

    def on_epoch_end(self, epoch, logs=None):
        self.durations.append(time.monotonic() - self._begun)


def save_unfinished(pretrainer, folder):
    """Saves the presets of the last checkpoint when time is up."""
    training.ResumeTraining(folder.checkpoint_dir).restore(pretrainer)
    save_presets(pretrainer, folder)
    epochs = len(training.read_history(folder.history_path))
    print(
        f"Time is up after {epochs} epochs; the same command goes on. "
        f"Preset: {folder.path}/preset"
    )
