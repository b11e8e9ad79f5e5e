"""Exports a graph predictor for TensorFlow Serving.

    python -m recipes.export --predictor glomo_small_en \
--out saved_models/glomo_small_en

Writes the next free version, `saved_models/glomo_small_en/1/`, in the layout
that TensorFlow Serving watches; a version is never overwritten, and appears
complete or not at all. Texts, or token ids, give all graphs, a mixture of them
or their strongest edges: `glomo_keras.serving.export_saved_model` lists the
signatures. Core TensorFlow alone runs them.

Then loads what was written, and prints its size and how far its graphs are
off those of the predictor. It takes seconds.

The requests that warm a server up need `pip install tensorflow-serving-api`;
`--no-warmup` goes without. A preset without a tokenizer gives the signatures
on token ids only, and no such requests.
"""

import dataclasses
import pathlib

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
    """Exports a graph predictor for TensorFlow Serving."""

    out: pathlib.Path
    """Folder of all versions; its name is the name of the model."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    version: int | None = None
    """Number of the version; by default the one after the newest."""
    max_length: int = 512
    """Longer inputs, in units, are refused."""
    num_edges: int = 8
    """Edges per unit that the signature `edges` gives."""
    warmup: bool = True
    """Write requests with which the server warms up."""


def main(options):
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    tokenizer = tokenizer_of(predictor)
    folder = serving.export_saved_model(
        predictor,
        options.out,
        version=next_version(options.out)
        if options.version is None
        else options.version,
        tokenizer=tokenizer,
        max_length=options.max_length,
        num_edges=options.num_edges,
        warmup_texts=warmup_texts(tokenizer, options.max_length)
        if options.warmup
        else None,
    )
    report(predictor, folder, min(20, options.max_length))


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


def report(predictor, folder, units):
    """Prints the size of the export and the error of its graphs."""
    import tensorflow as tf

    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    parameters = sum(
        weight.value.numpy().nbytes for weight in predictor.weights
    )
    signatures = tf.saved_model.load(str(folder)).signatures
    ids = np.random.default_rng(0).integers(
        0, predictor.vocabulary_size, (2, units), "int32"
    )
    inputs = {"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)}
    wanted = predictor(inputs)
    given = {name: tf.constant(value) for name, value in inputs.items()}
    error = max(
        float(np.abs(graph - keras.ops.convert_to_numpy(wanted[name])).max())
        for name, graph in signatures["from_ids"](**given).items()
    )
    print(
        f"{folder}: {size / 1e6:.2f} MB, of which the parameters are "
        f"{parameters / 1e6:.2f} MB\n"
        f"signatures: {', '.join(sorted(signatures))}\n"
        f"graphs differ from the predictor's by {error:.1e} at most"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
