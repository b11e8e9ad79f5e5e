r"""CIFAR-10 with a ResNet on pixels and graphs: Sec. 3.5 and Table 3.

    python -m recipes.vision.cifar10 --data cifar-10-batches-py --size 16 \
        --graph predicted --seeds 3 --out runs/cifar10/predicted

`--data` takes the official batches (python or binary version), a folder with
`train/CLASS/*` and `test/CLASS/*`, a folder of class folders (a sixth of
which becomes the test set) or a TFDS name. 16 % of the images for training are
held out (42,000 and 8,000 of CIFAR-10's 50,000); images are mirrored at
random and not changed otherwise; the epoch with the best validation accuracy
goes to the test set, once.

`--graph`: `predicted`, the graphs of `--predictor`; `random`, those of the
same network before any training; `uniform`, equal weights for all earlier
pixels; `none`, the ResNet alone. `recipes.tasks.compare` compares the runs.

The paper's accuracy (%), mean and standard deviation of 5 runs: ResNet-18
90.93 +- 0.33, with GLoMo 91.55 +- 0.23, uniform 91.07 +- 0.24; ResNet-34
91.42 +- 0.17, with GLoMo 91.70 +- 0.09. That is `--config paper`, which needs
a GPU. `small` is for CPUs: with 16x16 pixels, 2,000 images and 15 epochs a run
without graphs takes 5 minutes of one core (Intel Xeon, mixed_bfloat16) and
gets 41 to 45 % of the test images right (docs/evidence.md).
"""

import dataclasses
import pathlib
from typing import Literal

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras.models import presets
from glomo_keras.training.warmup_cosine import warmup_cosine
from recipes.common import JIT_COMPILE
from recipes.common import check_above_zero
from recipes.common import check_not_negative
from recipes.common import check_positive
from recipes.common import fingerprint
from recipes.common import with_config
from recipes.seeds import SeedOptions
from recipes.seeds import check_seeds
from recipes.seeds import run_seeds
from recipes.tasks.graphs import trained_parameters
from recipes.tasks.options import PREDICTED

VALIDATION_SHARE = 0.16
CONFIGS = {
    "small": dict(limit=1000, epochs=5, batch_size=32, learning_rate=0.01),
    "paper": dict(limit=0, epochs=200, batch_size=128, learning_rate=0.1),
}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(kw_only=True)
class Options(SeedOptions):
    """Trains and tests a classifier of CIFAR-10. None: `config`'s value."""

    data: str
    """Folder of official batches or class folders, or tfds:NAME."""
    graph: Literal["none", "predicted", "uniform", "random"] = "none"
    """Where the graphs come from."""
    config: Literal["small", "paper"] = "small"
    """Source of the values that are not given."""
    depth: Literal[18, 34] = 18
    predictor: str = "glomo_pixels_small"
    """Preset of the package, or preset folder, for predicted and random."""

    # The images.

    size: int = 32
    """Pixels a side to which images are scaled."""
    limit: int | None = None
    """Images for training and validation, and for the test; 0: all."""
    test_limit: int | None = None
    """Images for the test; as many as `limit` if None, 0: all."""
    split_seed: int = 0
    """Draws the images held out, the same for all seeds of the run."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where scaled images are kept."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""

    # The model and its training.

    num_mixtures: int = 1
    include_products: bool = True
    units: int | None = None
    """Width of what the graphs add; 3 if None."""
    learning_rate: float | None = None
    weight_decay: float = 5e-3
    """Decoupled: ten times that of an L2 term under momentum 0.9."""
    batch_size: int | None = None
    epochs: int | None = None


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and labels of one part of the data."""

    images: np.ndarray
    labels: np.ndarray
    num_classes: int


def main(options):
    """Runs the recipe; returns the metrics of each seed."""
    options = with_config(options, CONFIGS)
    check(options)
    harmless = ("cache", "data_dir")
    return run_seeds(options, load, train, describe, (), harmless)


def check(options):
    """Refuses options out of their range, before any work."""
    check_seeds(options)
    check_positive(options, "size", "epochs", "batch_size", "num_mixtures")
    check_above_zero(options, "learning_rate")
    check_not_negative(options, "limit", "test_limit")
    if options.graph in PREDICTED:
        gk.ImageGraphPredictor.from_preset(options.predictor)


def load(options):
    """Reads the images; returns a dict of `Split`: train, validation, test."""
    sources = data.open_labelled(options.data, options.data_dir)
    sets = {}
    for name, source in sources.items():
        sets[name] = data.prepare_images(
            [source], options.cache.expanduser(), options.size
        )
        print(f"{name}: {len(sets[name]):,} images.", end=" ")
        print(data.describe_skipped(sets[name].skipped))
    train = sets["train"]
    # Without a test set a sixth of the images becomes one.
    held_out = 0 if "test" in sets else len(train) // 6
    rows, test_rows = data.split_rows(len(train), held_out, options.split_seed)
    test = sets.get("test", train)
    if "test" in sets:
        test_rows, _ = data.split_rows(len(test), 0, options.split_seed)
    test_limit = options.test_limit
    if test_limit is None:
        test_limit = options.limit
    rows = rows[: options.limit or None]
    test_rows = test_rows[: test_limit or None]
    held_out = round(VALIDATION_SHARE * len(rows))
    splits = {
        "train": take(train, rows[held_out:]),
        "validation": take(train, rows[:held_out]),
        "test": take(test, test_rows),
    }
    sizes = {name: len(split.labels) for name, split in splits.items()}
    print(sizes)
    if sizes["train"] < options.batch_size or not all(sizes.values()):
        raise ValueError(
            "There must be a batch of images for training and some for "
            f"validation and test. Received: {sizes}, "
            f"batch_size={options.batch_size}"
        )
    return splits


def take(images, rows):
    """Returns some images of an `ImageSet` as a `Split`."""
    rows = np.sort(rows)
    return Split(
        np.asarray(images.images[rows]),
        images.labels[rows],
        len(images.class_names),
    )


def describe(options, splits):
    """Returns checksums of the images and the predictor of a run."""
    facts = fingerprint(
        {
            f"{name}_{part}": getattr(split, part)
            for name, split in splits.items()
            for part in ("images", "labels")
        }
    )
    if options.graph in PREDICTED:
        facts["predictor"] = presets.weights_digest(options.predictor)
    return facts


def train(options, splits, seed, folder):
    """Trains and tests a model; returns its metrics."""
    model = build(options, splits, seed)
    history = fit(options, splits, model, seed, folder)
    return {"graph": options.graph, **evaluate(options, splits, model, history)}


def build(options, splits, seed):
    """Returns the compiled classifier, which applies the graphs."""
    source, transfer = None, None
    if options.graph != "none":
        source = make_source(options, seed)
        transfer = gk.layers.MessageTransfer(
            num_mixtures=options.num_mixtures, units=options.units
        )
    # After the graphs, so that all sources start from the same weights.
    keras.utils.set_random_seed(seed)
    model = gk.ImageClassifier(
        num_classes=splits["train"].num_classes,
        depth=options.depth,
        image_size=options.size,
        graphs=source,
        transfer=transfer,
        include_products=options.include_products,
    )
    model.compile(
        make_optimizer(options, len(splits["train"].labels)),
        loss={"logits": LOSS},
        metrics={
            "logits": keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        },
        jit_compile=JIT_COMPILE[options.jit_compile],
    )
    return model


def make_source(options, seed):
    """Returns the source of the graphs."""
    if options.graph == "uniform":
        return gk.layers.UniformGraph()
    predictor = gk.ImageGraphPredictor.from_preset(options.predictor)
    if options.graph == "random":
        keras.utils.set_random_seed(seed)
        predictor = keras.models.clone_model(predictor)  # untrained
    return gk.models.PredictedGraphs(predictor)


def make_optimizer(options, num_images):
    """Returns SGD with momentum, warm-up and cosine decay."""
    steps = options.epochs * (num_images // options.batch_size)
    rate = options.learning_rate
    return keras.optimizers.SGD(
        warmup_cosine(rate, steps, steps // 20, rate / 100),
        momentum=0.9,
        weight_decay=options.weight_decay,
    )


def fit(options, splits, model, seed, folder):
    """Trains; the model gets the weights of its best epoch."""
    part = splits["train"]
    batches = data.LabelledBatches(
        part.images, part.labels, options.batch_size, seed
    )
    history = training.fit_resumable(
        model,
        lambda first_step: data.as_dataset(batches, first_step),
        epochs=options.epochs,
        steps_per_epoch=batches.steps_per_epoch,
        run_folder=folder,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping(
                "val_accuracy",
                mode="max",
                patience=options.epochs,
                restore_best_weights=True,
            ),
        ],
        validation_data=in_order(options, splits["validation"]),
        verbose=2,
    )
    training.check_finite(history)
    return history


def in_order(options, split):
    """Returns a part of the data for evaluation."""
    return data.as_dataset(
        data.EvaluationImages(
            split.images, split.labels, 4 * options.batch_size
        )
    )


def evaluate(options, splits, model, history):
    """Tests once, with the weights of the best epoch."""
    scores = model.evaluate(
        in_order(options, splits["test"]), verbose=0, return_dict=True
    )
    validation = history.history["val_accuracy"]
    return {
        "test_accuracy": scores["accuracy"],
        "test_loss": scores["loss"],
        "validation_accuracy": max(validation),
        "best_epoch": validation.index(max(validation)) + 1,
        "epochs": len(validation),
        "train_images": len(splits["train"].labels),
        "trained_parameters": trained_parameters(model),
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
