"""What keeping messages costs and saves: streamed or from disk.

    python -m recipes.tasks.measure_messages --size 16

For ResNet-18 with the graphs of `--predictor`, on random images: CPU
milliseconds an image of a training step in which the graphs are computed
(stream), of one that reads what they bring from disk (cache), and of
computing it once for an image and its mirror image; the bytes that are kept;
from how many epochs on keeping them is faster; and what the graphs
themselves would take. CPU time, since the machine may be shared.
"""

import dataclasses
import pathlib
import resource
import tempfile
import time

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from recipes.vision import cifar10


@dataclasses.dataclass
class Options:
    """What keeping messages costs and saves."""

    predictor: str = "glomo_pixels_small"
    """Name of a preset of the package, or a preset folder."""
    size: int = 16
    """Pixels a side."""
    batch_size: int = 16
    steps: int = 3
    """Steps measured, after one that is not."""


def main(options):
    """Runs the recipe; returns the rows of its table."""
    keras.utils.set_random_seed(0)
    shape = (options.batch_size, options.size, options.size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    labels = np.arange(len(images)) % 10
    predictor = gk.ImageGraphPredictor.from_preset(options.predictor)
    model = gk.ImageClassifier(
        image_size=options.size, graph="predicted", graph_predictor=predictor
    )
    with tempfile.TemporaryDirectory() as folder:
        makes = model.message_model()
        computing = measure(
            lambda: makes.predict_on_batch({"images": images}), options
        )
        cache = data.MessageCache(
            pathlib.Path(folder), images, makes.predict_on_batch
        )
        times = {
            name: training_time(options, trained, images, labels, messages)
            for name, trained, messages in (
                ("cache", model.on_messages(), cache),
                ("stream", model, None),
            )
        }
        kept = cache.num_bytes / len(images)
    rows = describe(options, predictor, times, 2 * computing, kept)
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    return rows


def training_time(options, model, images, labels, messages):
    split = cifar10.Split(images, labels)
    settings = cifar10.resolve(
        cifar10.Options("", pathlib.Path(), batch_size=len(images))
    )
    cifar10.compile_model(settings, model, {"train": split})
    batches = data.LabelledBatches(
        images, labels, len(images), messages=messages
    )
    return measure(lambda: model.train_on_batch(*batches.batch(0)), options)


def measure(function, options):
    """CPU seconds an image of a call, the least of some."""
    function()
    times = []
    for _ in range(options.steps):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times) / options.batch_size


def describe(options, predictor, times, computing, kept):
    saved = times["stream"] - times["cache"]
    units = options.size**2
    heads = predictor.num_graph_layers * predictor.num_heads
    step = {name: f"{1e3 * value:.1f}" for name, value in times.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "size": f"{options.size}x{options.size}",
        "training step, stream (CPU ms an image)": step["stream"],
        "training step, cache (CPU ms an image)": step["cache"],
        "messages of an image and its mirror image (CPU ms)": (
            f"{1e3 * computing:.1f}"
        ),
        "cache is faster from this epoch on": (
            f"{np.ceil(computing / saved):.0f}" if saved > 0 else "never"
        ),
        "messages kept (kB an image)": f"{kept / 1e3:.0f}",
        "graphs, never held (MB an image, float32)": (
            f"{4 * heads * units**2 / 1e6:.1f}"
        ),
        "peak memory of all this (GB)": f"{peak:.2f}",
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
