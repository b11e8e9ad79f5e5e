"""Measures a finished pretraining on images: bits per dimension and graphs.

    python -m recipes.vision.evaluate --run runs/pixels

Every value of every pixel of whole held-out images is predicted once, from
what comes before it in raster order (the model also uses earlier channels of
the pixel), so that the sum is a code length of the whole image; the rows of
the table are of the same events.

* *Histogram*: the frequencies of each channel's values in the training images.
* *Copy the left pixel*: the value of the pixel to the left plus an error whose
  distribution is fitted to the training images, for each channel; the
  probability of values outside 0 to 255 is spread over those inside. In the
  first column the pixel above, with errors fitted to it.
* *The model*: the pixel to the right as predicted from a pixel; in the first
  column the one below.

All code the first pixel with the histogram. Writes RUN/evaluation.json, which
`recipes.pretrain.model_card` reads, and draws the edges into two pixels of a
held-out image, RUN/figures/centre.png and bottom_right.png.
"""

import dataclasses
import pathlib

import keras
import numpy as np
import tabulate
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras.utils import files
from recipes.common import check_data
from recipes.common import check_positive
from recipes.common import fingerprint
from recipes.common import read_options
from recipes.vision import pretrain as pretrain_images
from recipes.vision.draw_graphs import draw_edges

CHANNELS, VALUES = 3, 256
NEXT, BELOW = (0, 1), (1, 0)


@dataclasses.dataclass
class Options:
    """Measures a finished run of recipes.vision.pretrain."""

    run: pathlib.Path
    """The run folder."""
    code_images: int = 128
    """Held-out images whose bits per dimension are measured."""
    graph_images: int = 8
    """Held-out images whose graphs are described."""


def evaluate(options):
    """Runs the recipe; returns the content of RUN/evaluation.json."""
    check_positive(options, "code_images", "graph_images")
    settings = read_options(
        options.run, pretrain_images.Options, ["pretrainer", "preset"]
    )
    images = pretrain_images.load(settings)
    check_data(fingerprint(images), options.run)
    train, held_out = (np.asarray(images[k]) for k in ("train", "validation"))
    pretrainer = gk.PixelPretrainer.from_preset(
        options.run / "pretrainer", dtype="float32"
    )
    coded = held_out[: options.code_images]
    bits = model_bits(pretrainer, train, coded) | baseline_bits(train, coded)
    evaluation = {
        "settings": {
            "code_images": options.code_images,
            "graph_images": options.graph_images,
        },
        "images": {"train": len(train), "held_out": len(held_out)},
        "bits_per_dim": {
            name: [float(values.mean()), *values.mean((0, 1, 2)).tolist()]
            for name, values in bits.items()
        },
        "graphs": describe_graphs(
            pretrainer.graph_predictor, held_out[: options.graph_images]
        ),
    }
    predictor, image = pretrainer.graph_predictor, held_out[0]
    graphs = predictor({"images": image[None]})
    graphs = keras.ops.convert_to_numpy(graphs["forward_graphs"])[0]
    draw_edges(graphs, image, "A held-out image", options.run / "figures")
    report(evaluation, options.run / "evaluation.json")
    return evaluation


def histograms(images):
    """Returns the distribution of each channel, add-one: `(3, 256)`."""
    counts = [
        np.bincount(images[..., c].ravel(), minlength=VALUES) + 1.0
        for c in range(CHANNELS)
    ]
    return np.array([count / count.sum() for count in counts])


def copy_tables(images, axis):
    """Returns `p(value | value before)` for each channel, `(3, 256, 256)`.

    Args:
        images: uint8 array `(N, H, W, 3)` to fit.
        axis: 1 where the pixel above is copied, 2 for the left one.
    """
    values = images.astype("int16")
    errors = np.diff(values, axis=axis) + VALUES - 1
    tables = []
    for c in range(CHANNELS):
        counts = np.bincount(errors[..., c].ravel(), minlength=2 * VALUES - 1)
        counts = counts + 1.0
        rows = [counts[VALUES - 1 - u :][:VALUES] for u in range(VALUES)]
        tables.append(rows / np.sum(rows, axis=1, keepdims=True))
    return np.array(tables)


def baseline_bits(train, images):
    """Returns the bits of each value of the images for the two baselines.

    Args:
        train: uint8 array `(N, H, W, 3)`, to which the baselines are fitted.
        images: uint8 array `(M, H, W, 3)`.

    Returns:
        Dict of `histogram` and `copy_left`, float arrays `(M, H, W, 3)`.
    """
    marginal = histograms(train)
    left, above = copy_tables(train, 2), copy_tables(train, 1)
    x = images.astype("int64")
    channels = np.arange(CHANNELS)
    plain = -np.log2(marginal[channels, x])
    copied = plain.copy()
    copied[:, :, 1:] = -np.log2(left[channels, x[:, :, :-1], x[:, :, 1:]])
    copied[:, 1:, 0] = -np.log2(above[channels, x[:, :-1, 0], x[:, 1:, 0]])
    return {"histogram": plain, "copy_left": copied}


def model_bits(pretrainer, train, images, batch_size=8):
    """Returns the bits of each value of the images for a model.

    Args:
        pretrainer: `PixelPretrainer`.
        train: uint8 array `(N, H, W, 3)`, for the histogram.
        images: uint8 array `(M, H, W, 3)`.
        batch_size: int.

    Returns:
        Dict of `forward` and, if bidirectional, `backward`, float arrays
        `(M, H, W, 3)`: the images are read from the first pixel to the last,
        or from the last to the first.
    """
    first = -np.log2(histograms(train))[np.arange(CHANNELS), images.astype(int)]
    bits = {direction: first.copy() for direction in pretrainer.directions}
    height, width = images.shape[1:3]
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        losses = pretrainer.target_losses(batch)
        for direction, (nats, _) in losses.items():
            offsets = pretrainer.decoders[direction].offsets.tolist()
            nats = keras.ops.convert_to_numpy(nats) / np.log(2)
            nats = nats.reshape(len(batch), height, width, -1, CHANNELS)
            _place(
                bits[direction][start : start + batch_size],
                nats,
                offsets,
                1 if direction == "forward" else -1,
            )
    return bits


def _place(bits, predicted, offsets, sign):
    """Puts the bits of predicted pixels at the places of these pixels."""
    right, below = (
        predicted[..., offsets.index([sign * r, sign * c]), :]
        for r, c in (NEXT, BELOW)
    )
    if sign > 0:
        bits[:, :, 1:] = right[:, :, :-1]
        bits[:, 1:, 0] = below[:, :-1, 0]
    else:
        bits[:, :, :-1] = right[:, :, 1:]
        bits[:, :-1, -1] = below[:, 1:, -1]


def describe_graphs(predictor, images):
    """Returns statistics of each direction, lists (L, K), distances in pixels.

    Args:
        predictor: `ImageGraphPredictor`.
        images: uint8 array `(N, S, S, 3)`.
    """
    size = images.shape[1]
    place = np.stack(np.divmod(np.arange(size * size), size), axis=1)
    distance = np.linalg.norm(place[:, None] - place, axis=-1)  # (T, T)
    described = {"images": len(images)}
    for direction in predictor.directions:
        one_by_one = []
        for image in images:
            graphs = keras.ops.convert_to_numpy(
                predictor({"images": image[None]})[f"{direction}_graphs"]
            )
            numbers = analysis.graph_statistics(graphs, direction=direction)
            total = (graphs[0] * distance).sum((-1, -2))
            edges = np.maximum(graphs[0].sum((-1, -2)), 1e-9)
            numbers["mean_distance"] = total / edges
            one_by_one.append(numbers)
        described[direction] = {
            name: np.mean([n[name] for n in one_by_one], axis=0).tolist()
            for name in one_by_one[0]
        }
    return described


def report(evaluation, path):
    """Writes the file and prints the bits per dimension."""
    files.write_json(path, evaluation)
    rows = [[name, *x] for name, x in evaluation["bits_per_dim"].items()]
    headers = ["bits per dimension", "all", "red", "green", "blue"]
    print(tabulate.tabulate(rows, headers=headers, floatfmt=".3f"))
    print(f"-> {path}")


if __name__ == "__main__":
    evaluate(tyro.cli(Options))
