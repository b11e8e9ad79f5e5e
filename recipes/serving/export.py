"""Exports a graph predictor for TensorFlow Serving, or as an ONNX file.

    python -m recipes.serving.export --predictor glomo_small_en \
--out saved_models/glomo_small_en

Writes the next free version, `saved_models/glomo_small_en/1/`, in the layout
that TensorFlow Serving watches; a version is never overwritten, and appears
complete or not at all. Texts, or token ids, or images give all graphs, a
mixture of them or their strongest edges:
`glomo_keras.serving.export_saved_model` lists the signatures. Core TensorFlow
alone runs them.

    python -m recipes.serving.export --format onnx --out glomo_small_en.onnx

writes one file that takes token ids (or images) and gives all graphs, for ONNX
Runtime (needs the extra `onnx`).

Then loads what was written, and prints its size and how far its graphs are
off those of the predictor. It takes seconds.

The requests that warm a server up need the extra `serving`; `--no-warmup` goes
without. A preset without a tokenizer gives the signatures on token ids only,
and no such requests.
"""

import dataclasses
import math
import pathlib
import typing

import keras
import numpy as np
import tyro

from glomo_keras import data
from glomo_keras import serving
from glomo_keras.models import presets

TEXTS = (
    "Hello!",
    "The cat sat on the mat because it was tired.",
    "In 1969 the crew of Apollo 11 landed on the Moon; some 650,000,000 people "
    "watched it on television, and many of them couldn't believe their eyes "
    "when Armstrong, who had flown 78 combat missions in Korea, climbed down "
    "the ladder and said that it's one small step for man.",
)
"""What the server is warmed up with, as far as the limit allows."""

MAX_TOKENS, MAX_PIXELS = 512, 32 * 32


@dataclasses.dataclass
class Options:
    """Exports a graph predictor for TensorFlow Serving, or as ONNX."""

    out: pathlib.Path
    """Folder of all versions, whose name is the name of the model; or the
    ONNX file."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    format: typing.Literal["saved_model", "onnx"] = "saved_model"
    """The options below are for a SavedModel."""
    version: int | None = None
    """Number of the version; by default the one after the newest."""
    max_length: int | None = None
    """Longer inputs, in units, are refused; by default beyond 512 tokens or
    1024 pixels."""
    max_characters: int = 50_000
    """Longer texts, in characters, are refused."""
    num_edges: int = 8
    """Edges per unit that the signature `edges` gives."""
    warmup: bool = True
    """Write requests with which the server warms up."""


def main(options):
    predictor = load_predictor(options.predictor)
    if options.format == "onnx":
        path = serving.export_onnx(predictor, options.out)
        inputs = example_inputs(predictor)
        report(predictor, path, run_onnx(path, inputs), inputs)
        return
    limit = options.max_length
    if limit is None:
        limit = MAX_PIXELS if takes_images(predictor) else MAX_TOKENS
    folder = export_saved_model(predictor, options, limit)
    inputs = example_inputs(predictor, limit)
    report(predictor, folder, run_saved_model(folder, inputs), inputs)


def load_predictor(preset):
    """The frozen graph predictor of a preset, of text or of images."""
    model = presets.load(preset)
    predictor = getattr(model, "graph_predictor", model)
    predictor.trainable = False
    return predictor


def takes_images(predictor):
    return "images" in predictor.input


def export_saved_model(predictor, options, limit):
    """The folder of the version that is written."""
    more = {}
    if takes_images(predictor):
        if options.warmup:
            more["warmup_images"] = example_images(limit)
    else:
        tokenizer = tokenizer_of(predictor)
        more["tokenizer"] = tokenizer
        if options.warmup:
            more["warmup_texts"] = warmup_texts(
                tokenizer, limit, options.max_characters
            )
    return serving.export_saved_model(
        predictor,
        options.out,
        version=next_version(options.out)
        if options.version is None
        else options.version,
        max_length=limit,
        max_characters=options.max_characters,
        num_edges=options.num_edges,
        **more,
    )


def tokenizer_of(predictor):
    """The tokenizer of a preset, or None where it is not known."""
    if predictor.vocabulary is None or predictor.tokenizer_config is None:
        print("The preset has no tokenizer: signatures take token ids only.")
        return None
    return data.WordTokenizer(
        predictor.vocabulary, **predictor.tokenizer_config
    )


def next_version(path):
    """The number after the newest version in a folder, 1 if there is none."""
    names = [entry.name for entry in path.glob("*") if entry.name.isdecimal()]
    return max(map(int, names), default=0) + 1


def warmup_texts(tokenizer, max_length, max_characters):
    """The texts within the limits, a list; None without a tokenizer."""
    if tokenizer is None:
        return None
    lengths = tokenizer.tokenize(TEXTS)["tokens"].row_lengths()
    return [
        text
        for text, length in zip(TEXTS, lengths, strict=True)
        if length <= max_length and len(text) <= max_characters
    ]


def example_inputs(predictor, limit=MAX_TOKENS):
    """Inputs of a predictor: two texts as drawn ids, or two images."""
    if takes_images(predictor):
        return {"images": example_images(limit)}
    shape = (2, min(20, limit))
    ids = np.random.default_rng(0).integers(
        0, predictor.vocabulary_size, shape, "int32"
    )
    return {"token_ids": ids, "padding_mask": np.ones(shape, bool)}


def example_images(limit=MAX_PIXELS):
    """Two small images, of a gradient and of noise, `(2, H, W, 3)`."""
    side = min(8, math.isqrt(max(limit, 0)))
    shape = (side, side, 3)
    gradient = np.linspace(0, 255, side * side * 3).astype("uint8")
    noise = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    return np.stack([gradient.reshape(shape), noise])


def report(predictor, path, graphs, inputs):
    """Prints the size of the export and the error of its graphs.

    Args:
        predictor: the model that was exported.
        path: the export, a folder or a file.
        graphs: dict of arrays, what the export gives for the inputs.
        inputs: dict of arrays.
    """
    files = [path, *path.rglob("*")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    parameters = sum(
        weight.value.numpy().nbytes for weight in predictor.weights
    )
    wanted = predictor(inputs)
    error = max(
        float(np.abs(graph - keras.ops.convert_to_numpy(wanted[name])).max())
        for name, graph in graphs.items()
    )
    print(
        f"{path}: {size / 1e6:.2f} MB, of which the parameters are "
        f"{parameters / 1e6:.2f} MB\n"
        f"graphs differ from the predictor's by {error:.1e} at most"
    )


def run_saved_model(folder, inputs):
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    print(f"signatures: {', '.join(sorted(signatures))}")
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    name = "from_ids" if "from_ids" in signatures else "serving_default"
    graphs = signatures[name](**tensors)
    return {name: graph.numpy() for name, graph in graphs.items()}


def run_onnx(path, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


if __name__ == "__main__":
    main(tyro.cli(Options))
