"""Pretrains a graph predictor on images: Sec. 3.5 of the paper.

    python -m recipes.vision.pretrain --images photos/ --out runs/pixels
    python -m recipes.vision.pretrain --images photos/ --size 16 --out runs/16

`--images` takes folders (with folders in them, at any depth) of images of any
size, official CIFAR-10 batches and TFDS names
(`tfds:downsampled_imagenet/32x32`), several of them if need be. They are
read, checked and scaled to `--size` before anything else; files that cannot
be used are named in OUT/skipped.txt and counted.

The units are the pixels; from each pixel a window of later ones is predicted,
channel by channel. `--config small` is for a CPU: it trains on crops of
`--crop` pixels a side, since a graph grows with the fourth power of the side.
The networks have no size of their own, and what crops taught is evaluated and
used on whole images. `base` trains on whole images of 32x32 and wants a GPU.

OUT is a run folder: config.json, data.json, history.csv, metrics.json,
tensorboard/, figures/, checkpoint/; `OUT/preset` is what
`ImageGraphPredictor.from_preset` loads, `OUT/pretrainer` the whole model.
Killed at any moment and started again with the same command, it goes on as
the same run, unless the images have changed; an epoch (`--steps-per-epoch`
steps) is what is redone.

`small` takes 153 CPU seconds (AMD EPYC) and reaches 5.69 bits per dimension of
windows of held-out crops of Tiny ImageNet at 32x32, 5.43 of whole images
(`recipes.vision.model_card`).
"""

import dataclasses
import pathlib
from typing import Literal

import keras
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras.data.tasks.batches import Batches
from recipes.checks import fingerprint
from recipes.pretrain import pretraining

CONFIGS = {
    "small": {
        "crop": 16,
        "embedding_dim": 48,
        "num_heads": 8,
        "key_dim": 16,
        "num_conv_layers": 2,
        "num_positions": 64,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "steps_per_epoch": 100,
        "epochs": 9,
        "bidirectional": False,
    },
    "base": {
        "crop": 32,
        "embedding_dim": 192,
        "num_heads": 8,
        "key_dim": 32,
        "num_conv_layers": 4,
        "num_positions": 128,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "steps_per_epoch": 1000,
        "epochs": 100,
        "bidirectional": False,
    },
}


@dataclasses.dataclass
class Options:
    """Pretrains on images. None stands for `config`'s value."""

    images: tuple[str, ...]
    """Folders of images, of CIFAR-10 batches, or tfds:NAME."""
    out: pathlib.Path
    """The run folder."""
    config: Literal["small", "base"] = "small"
    """Where the values come from that are not given."""

    # The images.
    size: int = 32
    """Pixels a side to which images are scaled."""
    crop: int | None = None
    """Pixels a side of the crops for training; 0: whole images."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the scaled images are kept."""
    validation_images: int = 512
    """Images held out."""
    limit: int | None = None
    """Images used, at most: drawn from all."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""

    # The model.
    embedding_dim: int | None = None
    num_heads: int | None = None
    key_dim: int | None = None
    kernel_size: int = 3
    num_conv_layers: int | None = None
    num_graph_layers: int = 3
    bidirectional: bool | None = None
    """Backward graphs as well, from the last pixel to the first."""
    coordinates: bool = True
    """Whether the graph networks are told where a pixel is."""
    window_size: int = 3
    anchor: Literal["centre", "corner"] = "centre"
    """Whether the window is around its pixel or begins with it."""
    channel_order: str = "rgb"
    num_positions: int | None = None
    """Pixels from which windows are predicted in a batch; 0: from all."""
    num_decoder_layers: int = 1
    threshold: Literal["query", "scalar"] = "query"
    activation: Literal["squared_relu", "square", "softmax"] = "squared_relu"
    composition: Literal["gru", "residual"] = "gru"
    share_cell: bool = True
    normalization: Literal["batch", "layer", "none"] = "layer"
    dropout: float = 0.0

    # The training.
    learning_rate: float | None = None
    batch_size: int | None = None
    steps_per_epoch: int | None = None
    epochs: int | None = None
    validation_steps: int = 4
    """Batches of held-out crops per evaluation; 0 takes all."""
    seed: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: Literal["auto", "true", "false"] = "auto"
    """Whether XLA compiles the training step."""
    overwrite: bool = False
    """Empty a run folder that holds a run with other options."""


def resolve(options):
    """The options with the values of `config` for those that are None."""
    options = pretraining.with_config(options, CONFIGS)
    crop = min(options.crop or options.size, options.size)
    return dataclasses.replace(options, crop=crop)


def pretrain(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        `pathlib.Path`, the folder of the preset.
    """
    return pretraining.run(
        resolve(options),
        ("out", "cache"),
        load,
        fingerprint,
        build,
        fit,
        report,
    )


def load(options, folder=None):
    """Images for training and held-out ones, read and checked.

    Args:
        options: resolved `Options`.
        folder: `RunFolder` where the names of all files skipped are written.

    Returns:
        Dict of `train` and `validation`, uint8 arrays `(N, S, S, 3)`.
    """
    sources = [
        data.open_images(spec, options.data_dir) for spec in options.images
    ]
    found = data.prepare_images(
        sources, options.cache.expanduser(), options.size
    )
    print(f"{len(found):,} images of {options.size}x{options.size} pixels.")
    print(data.describe_skipped(found.skipped))
    if folder is not None:
        lines = [f"{name}\t{reason}\n" for name, reason in found.skipped]
        (folder.path / "skipped.txt").write_text("".join(lines), "utf-8")
    held_out = options.validation_images
    used = min(len(found), options.limit or len(found))
    if min(used - held_out, held_out) < options.batch_size:
        raise ValueError(
            "There must be a batch of images for training and one held out: "
            "give more images, or lower `validation_images` or `batch_size`. "
            f"Received: {used} images, validation_images={held_out}, "
            f"batch_size={options.batch_size}"
        )
    train, validation = data.split_rows(len(found), held_out, options.seed)
    return {
        "train": found.images[train[: used - held_out]],
        "validation": found.images[validation],
    }


def build(options, images=None):
    """The compiled pretrainer."""
    pretrainer = gk.PixelPretrainer(
        embedding_dim=options.embedding_dim,
        num_heads=options.num_heads,
        key_dim=options.key_dim,
        kernel_size=options.kernel_size,
        num_conv_layers=options.num_conv_layers,
        num_graph_layers=options.num_graph_layers,
        bidirectional=options.bidirectional,
        coordinates=options.coordinates,
        max_shift=options.size - options.crop,
        window_size=options.window_size,
        anchor=options.anchor,
        channel_order=options.channel_order,
        num_positions=options.num_positions or None,
        num_decoder_layers=options.num_decoder_layers,
        threshold=options.threshold,
        activation=options.activation,
        composition=options.composition,
        share_cell=options.share_cell,
        normalization=options.normalization,
        dropout=options.dropout,
        seed=options.seed,
    )
    return pretraining.compile_pretrainer(
        options, pretrainer, pretraining.adam(options)
    )


def fit(options, images, pretrainer, folder):
    """Trains; returns the history of all epochs."""
    tensorflow = keras.backend.backend() == "tensorflow"
    make_dataset = data.as_dataset if tensorflow else Batches
    batches = data.CropBatches(
        images["train"], options.batch_size, options.crop, options.seed
    )
    held_out = data.EvaluationCrops(
        images["validation"], options.batch_size, options.crop
    )
    return training.fit_resumable(
        pretrainer,
        lambda first_step: make_dataset(batches, first_step),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        run_folder=folder,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping(
                "val_loss", patience=options.epochs, restore_best_weights=True
            ),
        ],
        validation_data=make_dataset(
            held_out, num_steps=options.validation_steps or None
        ),
    )


def report(options, images, pretrainer, folder, metrics):
    print(
        f"{metrics['val_bits_per_dim']:.3f} bits per dimension of a window of "
        "held-out crops."
    )
    return {"images": len(images["train"])}


def main(options):
    pretrain(options)


if __name__ == "__main__":
    main(tyro.cli(Options))
