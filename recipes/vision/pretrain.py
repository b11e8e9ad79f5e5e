"""Pretrains a graph predictor on images: Sec. 3.5 of the paper.

    python -m recipes.vision.pretrain --images photos/ --out runs/pixels
    python -m recipes.vision.pretrain --images photos/ --size 16 --out runs/16

`--images` takes folders (with folders in them, at any depth) of images of any
size, official CIFAR-10 batches and TFDS names
(`tfds:downsampled_imagenet/32x32`), several of them if need be. They are
read, checked and scaled to `--size` before anything else; files that cannot
be used are named in OUT/skipped.txt and counted.

The positions of the graphs are the pixels; from each pixel a window of later
ones is predicted, channel by channel. `--config small` is for a CPU: it trains
on crops of `--crop` pixels a side, since a graph grows with the fourth power
of the side. The networks have no size of their own, and a predictor trained on
crops is evaluated and used on whole images. `base` trains on whole images of
32x32 and needs a GPU.

OUT is a run folder: config.json, data.json, history.csv, timing.csv,
metrics.json, tensorboard/, figures/, checkpoint/; `OUT/preset` is what
`ImageGraphPredictor.from_preset` loads, `OUT/pretrainer` the whole model.
Killed at any moment and started again with the same command, the run goes on,
unless the images have changed; an epoch (`--steps-per-epoch` steps) is what is
redone. `--start-from OUT/pretrainer` goes on from the weights of another run,
on the same images or others, on crops of the same size or another.

`small` takes 153 CPU seconds (AMD EPYC) and reaches 5.69 bits per dimension of
windows of held-out crops of Tiny ImageNet at 32x32, 5.43 of whole images
(`recipes.vision.evaluate`).
"""

import dataclasses
from typing import Literal

import keras
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import training
from glomo_keras.utils import files
from recipes.common import fingerprint
from recipes.common import with_config
from recipes.pretrain import steps
from recipes.pretrain.steps import PretrainOptions

SMALL = {
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
}
BASE = {
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
}
CONFIGS = {"small": SMALL, "base": BASE}


@dataclasses.dataclass(kw_only=True)
class Options(PretrainOptions):
    """Pretrains on images. None: the value of `config`."""

    images: tuple[str, ...]
    """Folders of images, of CIFAR-10 batches, or tfds:NAME."""
    config: Literal["small", "base"] = "small"
    """Source of the values that are not given."""

    # The images.

    size: int = 32
    """Pixels a side to which images are scaled."""
    crop: int | None = None
    """Pixels a side of the crops for training; 0: whole images."""
    validation_images: int = 512
    """Images held out."""
    limit: int | None = None
    """Images used, at most: drawn from all."""

    # The model.

    bidirectional: bool = False
    """Backward graphs as well, from the last pixel to the first."""
    coordinates: bool = True
    """Whether the graph networks are told where a pixel is."""
    window_size: int = 3
    anchor: Literal["centre", "corner"] = "centre"
    """Whether the window is around its pixel or begins with it."""
    channel_order: str = "rgb"
    num_decoder_layers: int = 1
    normalization: Literal["batch", "layer", "none"] = "layer"

    validation_steps: int = 4
    """Batches of held-out crops per evaluation; 0 takes all."""


def resolve(options):
    """Returns the options with the values of `config` for those left None."""
    options = with_config(options, CONFIGS)
    crop = min(options.crop or options.size, options.size)
    return dataclasses.replace(options, crop=crop)


def pretrain(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        `pathlib.Path`, the folder of the preset.
    """
    options = resolve(options)
    steps.check(options)
    with steps.start(options) as folder:
        if not folder.finished:
            found = read(options)
            images = split(options, found)
            folder.check_data(
                {**fingerprint(images), **steps.start_facts(options)}
            )
            with files.atomic_file(folder.path / "skipped.txt") as file:
                file.writelines(f"{x}\t{why}\n" for x, why in found.skipped)
            pretrainer = build(options)
            try:
                history = fit(options, images, pretrainer, folder)
                report(options, images, pretrainer, history, folder)
            except steps.TimeIsUp:
                steps.save_unfinished(pretrainer, folder)
    return folder.path / "preset"


def load(options):
    """Reads the images and holds some out, see `split`."""
    return split(options, read(options))


def read(options):
    """Reads and checks the images; returns an `ImageSet`."""
    sources = [
        data.open_images(spec, options.data_dir) for spec in options.images
    ]
    found = data.prepare_images(
        sources, options.cache.expanduser(), options.size
    )
    print(f"{len(found):,} images of {options.size}x{options.size} pixels.")
    print(data.describe_skipped(found.skipped))
    return found


def split(options, found):
    """Holds some images out.

    Args:
        options: resolved `Options`.
        found: `ImageSet`.

    Returns:
        Dict of `train` and `validation`, uint8 arrays `(N, S, S, 3)`.
    """
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


def build(options):
    """Returns the compiled pretrainer."""
    predictor = gk.ImageGraphPredictor(
        embedding_dim=options.embedding_dim,
        num_heads=options.num_heads,
        key_dim=options.key_dim,
        kernel_size=options.kernel_size,
        num_conv_layers=options.num_conv_layers,
        num_graph_layers=options.num_graph_layers,
        bidirectional=options.bidirectional,
        coordinates=options.coordinates,
        max_shift=options.size - options.crop,
        threshold=options.threshold,
        activation=options.activation,
        normalization=options.normalization,
        dropout=options.dropout,
    )
    pretrainer = gk.PixelPretrainer(
        predictor,
        window_size=options.window_size,
        anchor=options.anchor,
        channel_order=options.channel_order,
        num_positions=options.num_positions or None,
        num_decoder_layers=options.num_decoder_layers,
        composition=options.composition,
        share_cell=options.share_cell,
        seed=options.seed,
    )
    return steps.compile_pretrainer(options, pretrainer, steps.adam(options))


def fit(options, images, pretrainer, folder):
    """Trains, and returns the history of all epochs."""
    batches = data.CropBatches(
        images["train"], options.batch_size, options.crop, options.seed
    )
    held_out = data.EvaluationCrops(
        images["validation"], options.batch_size, options.crop
    )
    return training.fit_resumable(
        pretrainer,
        lambda first_step: data.as_dataset(batches, first_step),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        run_folder=folder,
        callbacks=[
            *steps.time_limit(options),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping(
                "val_loss", patience=options.epochs, restore_best_weights=True
            ),
        ],
        validation_data=data.as_dataset(
            held_out, num_steps=options.validation_steps or None
        ),
    )


def report(options, images, pretrainer, history, folder):
    """Saves the presets and writes the metrics."""
    metrics = steps.save(options, pretrainer, history, folder)
    print(
        f"{metrics['val_bits_per_dim']:.3f} bits per dimension of a window of "
        "held-out crops."
    )
    folder.write_metrics({**metrics, "images": len(images["train"])})


if __name__ == "__main__":
    pretrain(tyro.cli(Options))
