"""CIFAR-10 with a ResNet on pixels and graphs: Sec. 3.5 and Table 3.

    python -m recipes.vision.cifar10 --data cifar-10-batches-py --out runs/cifar10 \\
        --graph none glomo uniform --size 16
    python -m recipes.vision.cifar10 --data tfds:cifar10 --out runs/cifar10_full \\
        --config paper --depth 34 --graph none glomo uniform --rounds 5

`--data` takes the official batches (python or binary version), a folder with
`train/CLASS/*` and `test/CLASS/*`, a folder of class folders (a sixth of
which becomes the test set) or a TFDS name. Of the images for training 16 % are
held out (42,000 and 8,000 of CIFAR-10's 50,000); images are mirrored at
random and not changed otherwise; the epoch with the best validation accuracy
goes to the test set, once.

`--graph`: `glomo`, the graphs of `--predictor`; `random`, those of the same
network before any training; `uniform`, all earlier pixels alike; `none`, the
ResNet alone. The graphs are frozen and the features are pixels, so what each
graph brings never changes: `--messages cache` computes it once, for every
image and its mirror image, and keeps it on disk; `stream` computes it in every
step. The numbers are the same; docs/vision.md says what either costs.

The paper's accuracy (%), mean and standard deviation of 5 runs: ResNet-18
90.93 +- 0.33, with GLoMo 91.55 +- 0.23, uniform 91.07 +- 0.24; ResNet-34
91.42 +- 0.17, with GLoMo 91.70 +- 0.09. That is `--config paper`, which wants
a GPU. `small`, the default, is 1,000 images and 5 epochs, for two CPU cores:
at `--size 16` with 600 images and 6 epochs a run trains in under a CPU minute
(AMD EPYC) and gets 29 to 33 % of the test images right (docs/vision.md).

OUT has a run folder for each graph and round (`OUT/glomo/round_1`) with
config.json, data.json, history.csv, metrics.json, checkpoint/, and the table,
results.md and results.json. Killed and started again with the same command
it goes on where it stopped.
"""

import dataclasses
import hashlib
import json
import pathlib
from typing import Literal

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras.data.tasks.batches import Batches
from glomo_keras.data.text.cache_files import digest
from recipes.checks import check_positive
from recipes.checks import fingerprint
from recipes.checks import refuse
from recipes.pretrain.pretraining import with_config
from recipes.xla import JIT_COMPILE

VALIDATION_SHARE = 0.16
CONFIGS = {
    "small": {
        "limit": 1000,
        "epochs": 5,
        "batch_size": 32,
        "learning_rate": 0.01,
    },
    "paper": {
        "limit": 0,
        "epochs": 200,
        "batch_size": 128,
        "learning_rate": 0.1,
    },
}


@dataclasses.dataclass
class Options:
    """CIFAR-10. None stands for `config`'s value."""

    data: str
    """Folder of official batches or class folders, or tfds:NAME."""
    out: pathlib.Path
    """The folder of all runs and the table."""
    graph: tuple[Literal["none", "glomo", "uniform", "random"], ...] = (
        "none",
        "glomo",
        "uniform",
    )
    """Whose graphs; one after the other."""
    config: Literal["small", "paper"] = "small"
    """Where the values come from that are not given."""
    depth: Literal[18, 34] = 18
    predictor: str = "glomo_pixels_small"
    """Preset of the package, or preset folder, for glomo and random."""
    rounds: int = 1
    """Runs of each, with other first weights and another order."""

    # The images.
    size: int = 32
    """Pixels a side to which images are scaled."""
    limit: int | None = None
    """Images for training and validation, and for the test; 0: all."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where scaled images and messages are kept."""
    messages: Literal["cache", "stream"] = "cache"
    """Whether what the graphs bring is kept on disk or computed anew."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""

    # The model and its training.
    num_mixtures: int = 1
    include_products: bool = True
    units: int | None = None
    """Width of the gated part; 3 if None."""
    learning_rate: float | None = None
    weight_decay: float = 5e-3
    """Decoupled: ten times that of an L2 term under momentum 0.9."""
    batch_size: int | None = None
    epochs: int | None = None
    seed: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: Literal["auto", "true", "false"] = "auto"
    overwrite: bool = False
    """Empty run folders that hold runs with other options."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and labels of one part of the data."""

    images: np.ndarray
    labels: np.ndarray


def resolve(options):
    """The options with the values of `config` for those that are None."""
    return with_config(options, CONFIGS)


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(
        options, "rounds", "size", "epochs", "batch_size", "num_mixtures"
    )
    if options.limit < 0:
        refuse("limit", "at least 0", options)
    if options.learning_rate <= 0:
        refuse("learning_rate", "above 0", options)
    if not options.graph or len(set(options.graph)) < len(options.graph):
        refuse("graph", "one mode or several different ones", options)


def main(options):
    """Runs the recipe; returns the rows of the table."""
    options = resolve(options)
    check(options)
    keras.config.set_dtype_policy(options.precision)
    splits, classes = load(options)
    facts = fingerprint(
        {
            f"{name}_{part}": getattr(split, part)
            for name, split in splits.items()
            for part in ("images", "labels")
        }
    )
    results = [
        run_round(options, graph, number, splits, len(classes), facts)
        for graph in options.graph
        for number in range(1, options.rounds + 1)
    ]
    return report(options, results, splits)


def load(options):
    """Reads, checks and splits the images.

    Args:
        options: resolved `Options`.

    Returns:
        `(splits, classes)`: dict of `train`, `validation` and `test`, each a
        `Split`, and the list of the classes' names.
    """
    sources = data.open_labelled(options.data, options.data_dir)
    cache = options.cache.expanduser()
    sets = {}
    for name, source in sources.items():
        sets[name] = data.prepare_images([source], cache, options.size)
        print(f"{name}: {len(sets[name]):,} images.", end=" ")
        print(data.describe_skipped(sets[name].skipped))
    train = sets["train"]
    rows, test_rows = data.split_rows(
        len(train), 0 if "test" in sets else len(train) // 6, options.seed
    )
    test = sets.get("test", train)
    if "test" in sets:
        test_rows, _ = data.split_rows(len(test), 0, options.seed)
    limit = options.limit or None
    rows, test_rows = rows[:limit], test_rows[:limit]
    held_out = round(VALIDATION_SHARE * len(rows))
    check_sizes(options, len(rows) - held_out, held_out, len(test_rows))
    splits = {
        "train": take(train, rows[held_out:]),
        "validation": take(train, rows[:held_out]),
        "test": take(test, test_rows),
    }
    print({name: len(split.labels) for name, split in splits.items()})
    return splits, train.class_names


def check_sizes(options, train, held_out, test):
    if train < options.batch_size or not held_out or not test:
        raise ValueError(
            "There must be a batch of images for training and some for "
            f"validation and test. Received: {train}, {held_out} and {test}, "
            f"batch_size={options.batch_size}"
        )


def take(images, rows):
    rows = np.sort(rows)
    return Split(np.asarray(images.images[rows]), images.labels[rows])


def run_round(options, graph, number, splits, num_classes, facts):
    """Trains and tests one model, or goes on with it.

    Returns:
        Dict of its metrics.
    """
    settings = dataclasses.asdict(options) | {"graph": graph, "round": number}
    for name in ("overwrite", "rounds"):
        del settings[name]
    folder = training.RunFolder(options.out / graph / f"round_{number}")
    harmless = ("out", "cache", "data_dir", "messages")
    with folder.start(settings, harmless, options.overwrite):
        folder.check_data(facts)
        if folder.finished:
            print(f"Finished before: {folder.metrics_path}")
            return folder.read_metrics()
        seed = options.seed + number
        keras.utils.set_random_seed(seed)
        model = build(options, graph, num_classes)
        trained, caches = with_messages(options, model, splits)
        compile_model(options, trained, splits)
        history = fit(options, trained, splits, caches, folder, seed)
        training.check_finite(history)
        metrics = evaluate(options, trained, splits, caches, history)
        metrics |= {"graph": graph, "round": number, **describe(model)}
        folder.write_metrics(metrics)
        print(
            f"{graph}, round {number}: {metrics['test_accuracy']:.2%} of the "
            f"test images, {metrics['validation_accuracy']:.2%} in validation"
        )
    return metrics


def build(options, graph, num_classes):
    """The classifier, with a frozen predictor where it has one."""
    predictor = None
    if graph in ("glomo", "random"):
        predictor = gk.ImageGraphPredictor.from_preset(options.predictor)
    if graph == "random":
        predictor = gk.ImageGraphPredictor.from_config(predictor.get_config())
    return gk.ImageClassifier(
        num_classes=num_classes,
        depth=options.depth,
        image_size=options.size,
        graph=graph if predictor is None else "predicted",
        graph_predictor=predictor,
        num_mixtures=options.num_mixtures,
        include_products=options.include_products,
        units=options.units,
    )


def with_messages(options, model, splits):
    """What is trained: the model itself, or the model on messages.

    Returns:
        `(model, caches)`: caches is a dict of a `MessageCache` or None for
        each split.
    """
    if model.graph_predictor is None or options.messages == "stream":
        return model, dict.fromkeys(splits)
    makes = model.message_model()
    caches = {}
    for name, split in splits.items():
        folder = options.cache.expanduser() / (
            "messages-" + digest(cache_key(options, model, split.images))
        )
        caches[name] = data.MessageCache(
            folder, split.images, makes.predict_on_batch
        )
        print(
            f"Messages of {name}: {caches[name].num_bytes / 1e6:,.0f} MB in "
            f"{folder}"
        )
    return model.on_messages(), caches


def cache_key(options, model, images):
    """What messages depend on, for the name of their folder."""
    predictor = model.graph_predictor
    weights = hashlib.sha256()
    for weight in predictor.weights:
        array = keras.ops.convert_to_numpy(weight)
        weights.update(array.astype("float32").tobytes())
    return [
        predictor.get_config(),
        weights.hexdigest(),
        options.include_products,
        hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
    ]


def compile_model(options, model, splits):
    """SGD with momentum, warm-up and cosine decay."""
    steps = options.epochs * (len(splits["train"].labels) // options.batch_size)
    warmup = steps // 20
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=options.learning_rate / 100,
        decay_steps=max(steps - warmup, 1),
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )
    model.compile(
        keras.optimizers.SGD(
            schedule, momentum=0.9, weight_decay=options.weight_decay
        ),
        loss={
            "logits": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            )
        },
        metrics={
            "logits": keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        },
        jit_compile=JIT_COMPILE[options.jit_compile],
    )


def fit(options, model, splits, caches, folder, seed):
    """Trains; the model gets the weights of its best epoch."""
    train = splits["train"]
    batches = data.LabelledBatches(
        train.images, train.labels, options.batch_size, seed, caches["train"]
    )
    make_dataset = dataset_maker()
    return training.fit_resumable(
        model,
        lambda first_step: make_dataset(batches, first_step),
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
        validation_data=evaluation_data(options, splits, caches, "validation"),
        verbose=2,
    )


def dataset_maker():
    tensorflow = keras.backend.backend() == "tensorflow"
    return data.as_dataset if tensorflow else Batches


def evaluation_data(options, splits, caches, name):
    split = splits[name]
    return dataset_maker()(
        data.EvaluationImages(
            split.images, split.labels, 4 * options.batch_size, caches[name]
        )
    )


def evaluate(options, model, splits, caches, history):
    """The test, once, with the weights of the best epoch."""
    scores = model.evaluate(
        evaluation_data(options, splits, caches, "test"),
        verbose=0,
        return_dict=True,
    )
    validation = history.history["val_accuracy"]
    return {
        "test_accuracy": scores["accuracy"],
        "test_loss": scores["loss"],
        "validation_accuracy": max(validation),
        "best_epoch": validation.index(max(validation)) + 1,
        "epochs": len(validation),
    }


def describe(model):
    """Parameters, and what the mixture ended up with."""
    weights = {}
    if model.graph == "predicted":
        weights = {
            direction: keras.ops.convert_to_numpy(
                model.transfer.mixture_weights(direction)
            ).tolist()
            for direction in model.graph_predictor.directions
        }
    return {
        "trainable_parameters": sum(
            int(np.prod(weight.shape)) for weight in model.trainable_weights
        ),
        "mixture_weights": weights,
    }


def report(options, results, splits):
    """Writes and prints the table.

    Returns:
        List of dicts, a row for each kind of graph.
    """
    rows = []
    for graph in options.graph:
        scores = [r["test_accuracy"] for r in results if r["graph"] == graph]
        rows.append(
            {
                "graph": graph,
                "mean": float(np.mean(scores)),
                "deviation": float(np.std(scores, ddof=1))
                if len(scores) > 1
                else None,
                "rounds": scores,
            }
        )
    lines = [
        f"ResNet-{options.depth}, {options.size}x{options.size} pixels, "
        f"{len(splits['train'].labels):,} images for training, "
        f"{len(splits['validation'].labels):,} for validation, "
        f"{len(splits['test'].labels):,} for the test, "
        f"{options.epochs} epochs",
        "",
        "| graph | test accuracy (%) | rounds |",
        "| --- | --- | --- |",
    ]
    for row in rows:
        deviation = row["deviation"]
        spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
        each = ", ".join(f"{100 * score:.2f}" for score in row["rounds"])
        lines.append(
            f"| {row['graph']} | {100 * row['mean']:.2f}{spread} | {each} |"
        )
    table = "\n".join(lines) + "\n"
    (options.out / "results.md").write_text(table, "utf-8")
    (options.out / "results.json").write_text(
        json.dumps(rows, indent=2) + "\n", "utf-8"
    )
    print(table)
    return rows


if __name__ == "__main__":
    main(tyro.cli(Options))
