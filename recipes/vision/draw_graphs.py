"""Draws the edges into two pixels of an image: Fig. 4 of the paper.

    python -m recipes.vision.draw_graphs --image photo.jpg --out runs/pixels
    python -m recipes.vision.draw_graphs --data cifar-10-batches-py --index 7

Draws the image, scaled to `--size`, and next to it for each layer and head a
small map of the weights of the edges into the pixel in the middle
(centre.png), and the same for the bottom-right pixel, which can have edges
from all others (bottom_right.png). `--index` counts the test images of
`--data`, which is what `recipes.vision.cifar10` takes. Prints the strongest
edges of each layer.
"""

import dataclasses
import pathlib
from typing import Literal

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from recipes.common import read_image


@dataclasses.dataclass
class Options:
    """Draws the edges into two pixels of an image."""

    image: pathlib.Path | None = None
    """An image file; or else `data` and `index`."""
    data: str | None = None
    """Folder of official CIFAR-10 batches or class folders, or tfds:NAME."""
    index: int = 0
    """Which of the test images of `data`."""
    predictor: str = "glomo_pixels_small"
    """Name of a preset of the package, or a preset folder."""
    size: int = 32
    """Pixels a side."""
    direction: Literal["forward", "backward"] = "forward"
    out: pathlib.Path = pathlib.Path("runs/pixel_graphs")
    """Folder of the pictures."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the scaled images of `data` are kept."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""


def read(options):
    """Returns the image, uint8 `(S, S, 3)`, and its name."""
    if (options.image is None) == (options.data is None):
        raise ValueError(
            "Give either an image or data and an index. "
            f"Received: image={options.image}, data={options.data}"
        )
    if options.image is not None:
        image = read_image(options.image, options.size)
        return image, options.image.name
    source = data.open_labelled(options.data, options.data_dir)
    source = source.get("test", source["train"])
    images = data.prepare_images(
        [source], options.cache.expanduser(), options.size
    )
    if not 0 <= options.index < len(images):
        raise ValueError(
            f"There are {len(images):,} images. Received: index={options.index}"
        )
    name = images.class_names[images.labels[options.index]]
    return images.images[options.index], f"{name} {options.index}"


def print_edges(graphs, pixel, size, count=3):
    """Prints the strongest edges of each layer into a pixel."""
    receiver = pixel[0] * size + pixel[1]
    for layer, heads in enumerate(graphs):
        rows = heads[:, receiver]  # (K, T)
        edges = []
        for place in np.argsort(-rows, axis=None)[:count]:
            head, source = np.unravel_index(place, rows.shape)
            if rows[head, source] > 0:
                row, column = divmod(int(source), size)
                edges.append(
                    f"({row}, {column}) {rows[head, source]:.2f} "
                    f"head {head + 1}"
                )
        listed = ", ".join(edges) or "no edge"
        print(f"into {pixel}, layer {layer + 1}: {listed}")


def main(options):
    """Runs the recipe."""
    image, name = read(options)
    predictor = gk.ImageGraphPredictor.from_preset(options.predictor)
    outputs = predictor({"images": np.asarray(image)[None]})
    wanted = f"{options.direction}_graphs"
    if wanted not in outputs:
        raise ValueError(
            f"This predictor gives {sorted(outputs)}. "
            f"Received: direction={options.direction!r}"
        )
    graphs = keras.ops.convert_to_numpy(outputs[wanted])[0]
    image = np.asarray(image)
    name = f"{name}, {options.direction}"
    for pixel, path in draw_edges(graphs, image, name, options.out).items():
        print_edges(graphs, pixel, options.size)
        print(f"-> {path}")


def draw_edges(graphs, image, name, folder):
    """Draws the edges into the middle and into the last pixel of an image.

    Args:
        graphs: array `(L, K, T, T)`.
        image: uint8 array `(S, S, 3)`.
        name: string, what the image is.
        folder: path of the pictures.

    Returns:
        Dict of each pixel, a pair of ints, to its picture's path.
    """
    size = len(image)
    paths = {
        (size // 2, size // 2): folder / "centre.png",
        (size - 1, size - 1): folder / "bottom_right.png",
    }
    for pixel, path in paths.items():
        title = f"{name}: edges into pixel {pixel}"
        analysis.plot_pixel_maps(graphs, image, pixel, title=title, path=path)
    return paths


if __name__ == "__main__":
    main(tyro.cli(Options))
