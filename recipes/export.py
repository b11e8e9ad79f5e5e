"""Exports a graph predictor for TensorFlow Serving, or as an ONNX file.

    python -m recipes.export --predictor glomo_small_en \
--out saved_models/glomo_small_en

Writes the next free version, `saved_models/glomo_small_en/1/`, in the layout
that TensorFlow Serving watches; a version is never overwritten, and appears
complete or not at all. Texts, or token ids, give all graphs, a mixture of them
or their strongest edges: `glomo_keras.serving.export_saved_model` lists the
signatures. Core TensorFlow alone runs them.

    python -m recipes.export --format onnx --out glomo_small_en.onnx

writes one file that takes token ids and gives all graphs, for ONNX Runtime
(needs the extra `onnx`).

Then loads what was written, and prints its size and how far its graphs are
off those of the predictor. It takes seconds.

The requests that warm a server up need the extra `serving`; `--no-warmup` goes
without. A preset without a tokenizer gives the signatures on token ids only,
and no such requests.
"""

import dataclasses
import pathlib
import typing

import keras
import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import data
from glomo_keras import serving

TEXTS = (
    "Hello!",
    "The cat sat on the mat because it was tired.",
    "In 1969 the crew of Apollo 11 landed on the Moon; some 650,000,000 people "
    "watched it on television, and many of them couldn't believe their eyes "
    "when Armstrong, who had flown 78 combat missions in Korea, climbed down "
    "the ladder and said that it's one small step for man.",
)
"""What the server is warmed up with, as far as the limit allows."""


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
    max_length: int = 512
    """Longer inputs, in units, are refused."""
    max_characters: int = 50_000
    """Longer texts, in characters, are refused."""
    num_edges: int = 8
    """Edges per unit that the signature `edges` gives."""
    warmup: bool = True
    """Write requests with which the server warms up."""


def main(options):
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    if options.format == "onnx":
        path = serving.export_onnx(predictor, options.out)
        report(predictor, path, run_onnx)
        return
    tokenizer = tokenizer_of(predictor)
    folder = serving.export_saved_model(
        predictor,
        options.out,
        version=next_version(options.out)
        if options.version is None
        else options.version,
        tokenizer=tokenizer,
        max_length=options.max_length,
        max_characters=options.max_characters,
        num_edges=options.num_edges,
        warmup_texts=warmup_texts(tokenizer, options.max_length)
        if options.warmup
        else None,
    )
    report(predictor, folder, run_saved_model, min(20, options.max_length))


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


def warmup_texts(tokenizer, max_length):
    """The texts within the limit, a list; None without a tokenizer."""
    if tokenizer is None:
        return None
    lengths = tokenizer.tokenize(TEXTS)["tokens"].row_lengths()
    return [
        text
        for text, length in zip(TEXTS, lengths, strict=True)
        if length <= max_length
    ]


def report(predictor, path, run, units=20):
    """Prints the size of the export and the error of its graphs.

    Args:
        predictor: the model that was exported.
        path: the export, a folder or a file.
        run: function of the path and a dict of inputs, which gives the
            export's graphs as a dict of arrays.
        units: int, T of the ids that are tried.
    """
    files = [path, *path.rglob("*")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    parameters = sum(
        weight.value.numpy().nbytes for weight in predictor.weights
    )
    ids = np.random.default_rng(0).integers(
        0, predictor.vocabulary_size, (2, units), "int32"
    )
    inputs = {"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)}
    wanted = predictor(inputs)
    error = max(
        float(np.abs(graph - keras.ops.convert_to_numpy(wanted[name])).max())
        for name, graph in run(path, inputs).items()
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
    graphs = signatures["from_ids"](**tensors)
    return {name: graph.numpy() for name, graph in graphs.items()}


def run_onnx(path, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


if __name__ == "__main__":
    main(tyro.cli(Options))
