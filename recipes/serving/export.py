r"""Exports a graph predictor for TensorFlow Serving, or as an ONNX file.

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

Then loads the export, and prints its size and the largest difference of its
graphs from the predictor's. It takes seconds.

The requests that warm a server up need the extra `serving`; `--no-warmup` goes
without. A preset without a tokenizer gives the signatures on token ids only,
and no such requests.
"""

import dataclasses
import math
import pathlib
from typing import Literal

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
"""Texts that warm the server up, except those beyond the limits."""

MAX_TOKENS, MAX_PIXELS = 512, 32 * 32


@dataclasses.dataclass
class Options:
    """Exports a graph predictor for TensorFlow Serving, or as ONNX."""

    out: pathlib.Path
    """Folder of all versions, whose name is the name of the model; or the
    ONNX file."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    format: Literal["saved_model", "onnx"] = "saved_model"
    """The options below are for a SavedModel."""
    version: int | None = None
    """Number of the version; by default the one after the newest."""
    max_length: int | None = None
    """Longer inputs are refused; by default beyond 512 tokens or 1024
    pixels."""
    max_characters: int = 50_000
    """Longer texts, in characters, are refused."""
    num_edges: int = 8
    """Edges of each token or pixel that the signature `edges` gives."""
    warmup: bool = True
    """Write requests with which the server warms up."""


def main(options):
    predictor = load_predictor(options.predictor)
    takes_images = "images" in predictor.input
    limit = options.max_length
    if limit is None:
        limit = MAX_PIXELS if takes_images else MAX_TOKENS
    inputs = make_inputs(predictor, limit)
    if options.format == "onnx":
        path = serving.export_onnx(predictor, options.out)
        report(predictor, inputs, path, run_onnx(path, inputs))
        return
    if takes_images:
        more = {"warmup_images": inputs["images"]} if options.warmup else {}
    else:
        more = text_options(predictor, options, limit)
    version = options.version
    path = serving.export_saved_model(
        predictor,
        options.out,
        version=next_version(options.out) if version is None else version,
        max_length=limit,
        max_characters=options.max_characters,
        num_edges=options.num_edges,
        **more,
    )
    report(predictor, inputs, path, run_saved_model(path, inputs))


def load_predictor(preset):
    """Returns the graph predictor of a preset, of text or of images."""
    model = presets.load(preset)
    return getattr(model, "graph_predictor", model)


def text_options(predictor, options, limit):
    """Returns the arguments of an export that takes texts, if one can."""
    if predictor.vocabulary is None or predictor.tokenizer_config is None:
        print("The preset has no tokenizer: signatures take token ids only.")
        return {}
    tokenizer = data.WordTokenizer(
        predictor.vocabulary, **predictor.tokenizer_config
    )
    if not options.warmup:
        return {"tokenizer": tokenizer}
    lengths = tokenizer.tokenize(TEXTS)["tokens"].row_lengths()
    texts = [
        text
        for text, length in zip(TEXTS, lengths, strict=True)
        if length <= limit and len(text) <= options.max_characters
    ]
    return {"tokenizer": tokenizer, "warmup_texts": texts}


def next_version(path):
    """Returns the number after the newest version in a folder, at least 1."""
    names = [entry.name for entry in path.glob("*") if entry.name.isdecimal()]
    return max(map(int, names), default=0) + 1


def make_inputs(predictor, limit):
    """Returns two texts of random ids, or an image of a gradient and noise."""
    draw = np.random.default_rng(0)
    if "images" in predictor.input:
        side = min(8, math.isqrt(max(limit, 0)))
        shape = (side, side, 3)
        gradient = np.linspace(0, 255, side * side * 3).astype("uint8")
        noise = draw.integers(0, 256, shape, "uint8")
        return {"images": np.stack([gradient.reshape(shape), noise])}
    shape = (2, min(20, max(limit, 1)))
    ids = draw.integers(0, predictor.vocabulary_size, shape, "int32")
    return {"token_ids": ids, "padding_mask": np.ones(shape, bool)}


def run_saved_model(folder, inputs):
    """Returns the graphs that a SavedModel gives, as arrays."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    print(f"signatures: {', '.join(sorted(signatures))}")
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    name = "from_ids" if "from_ids" in signatures else "serving_default"
    graphs = signatures[name](**tensors)
    return {name: graph.numpy() for name, graph in graphs.items()}


def run_onnx(path, inputs):
    """Returns the graphs that an ONNX file gives, as arrays."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def largest_error(predictor, inputs, graphs):
    """Returns by how much graphs differ from the predictor's at most."""
    wanted = predictor(inputs)
    return max(
        float(np.abs(graph - keras.ops.convert_to_numpy(wanted[name])).max())
        for name, graph in graphs.items()
    )


def report(predictor, inputs, path, graphs):
    """Prints the size of an export and the error of its graphs."""
    files = [path, *path.rglob("*")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    parameters = sum(
        weight.value.numpy().nbytes for weight in predictor.weights
    )
    error = largest_error(predictor, inputs, graphs)
    print(
        f"{path}: {size / 1e6:.2f} MB, of which the parameters are "
        f"{parameters / 1e6:.2f} MB\n"
        f"graphs differ from the predictor's by {error:.1e} at most"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
