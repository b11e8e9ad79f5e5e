"""Presets: a folder with a model, its vocabulary and where they come from.

config.json       class name and constructor arguments
model.weights.h5  weights
vocabulary.txt    one token a line, in the order of the ids (if known)
metadata.json     format version, versions, tokenizer, SHA-256 of the rest
"""

import hashlib
import json
import operator
import os
import pathlib
import warnings

import keras

from glomo_keras import bundled_presets

FORMAT_VERSION = 1
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
VOCABULARY, METADATA = "vocabulary.txt", "metadata.json"
CLASSES = (
    "GraphPredictor",
    "ContextPretrainer",
    "ImageGraphPredictor",
    "PixelPretrainer",
)


def save(model, folder):
    """Writes a model, its vocabulary and metadata to a folder.

    Metadata is written last, so that a preset cut off half-way is told by
    its absence.

    Args:
        model: one of `CLASSES`.
        folder: path; made if needed.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METADATA).unlink(missing_ok=True)
    config = {"class_name": type(model).__name__, "config": model.get_config()}
    _write_json(folder / CONFIG, config)
    temporary = folder / f"new.{WEIGHTS}"
    model.save_weights(temporary)
    os.replace(temporary, folder / WEIGHTS)
    files = [CONFIG, WEIGHTS]
    predictor = getattr(model, "graph_predictor", model)
    (folder / VOCABULARY).unlink(missing_ok=True)
    if getattr(predictor, "vocabulary", None) is not None:
        text = "\n".join(predictor.vocabulary) + "\n"
        (folder / VOCABULARY).write_text(text, "utf-8", newline="\n")
        files.append(VOCABULARY)
    metadata = {
        "format_version": FORMAT_VERSION,
        "keras_version": keras.version(),
        "tokenizer": getattr(predictor, "tokenizer_config", None),
        "sha256": {name: _sha256(folder / name) for name in files},
    }
    _write_json(folder / METADATA, metadata)


def load(preset, dtype=None):
    """The model that `save` wrote, with its vocabulary.

    Args:
        preset: folder, or name of a preset that comes with the package.
        dtype: dtype policy, or its name; that of the saved model if None.

    Returns:
        A model, one of `CLASSES`.

    Raises:
        ValueError: no such preset, or a damaged, incomplete or too new one;
            the message names the file and the fault.
    """
    folder = bundled_presets.find(preset)
    metadata = _read_json(folder / METADATA)
    _check_version(folder / METADATA, metadata)
    _check_files(folder, metadata)
    model = _build(folder / CONFIG, dtype)
    _load_weights(model, folder / WEIGHTS)
    predictor = getattr(model, "graph_predictor", model)
    predictor.tokenizer_config = metadata.get("tokenizer")
    if VOCABULARY in metadata["sha256"]:
        # As bytes: reading text turns a carriage return into a newline.
        text = (folder / VOCABULARY).read_bytes().decode("utf-8")
        tokens = text.removesuffix("\n").split("\n")
        if len(tokens) != predictor.vocabulary_size:
            raise ValueError(
                f"{folder / VOCABULARY} must have "
                f"{predictor.vocabulary_size} lines, the `vocabulary_size` "
                f"of {CONFIG}. Received: {len(tokens)} lines"
            )
        predictor.vocabulary = tokens
    return model


def load_predictor(preset, expected, trainable, dtype=None):
    """The graph predictor of a preset, frozen unless `trainable`.

    Args:
        preset: folder, or name of a preset that comes with the package.
        expected: class that it must have.
        trainable: boolean.
        dtype: see `load`.

    Raises:
        ValueError: as `load`, or a predictor of another class.
    """
    model = load(preset, dtype)
    predictor = getattr(model, "graph_predictor", model)
    check_class(preset, predictor, expected)
    predictor.trainable = trainable
    return predictor


def check_class(preset, model, expected):
    """Raises ValueError unless the model is of the class expected."""
    if not isinstance(model, expected):
        name = type(model).__name__
        raise ValueError(
            f"This preset holds {name}: load it with `{name}.from_preset`. "
            f"Received: preset={str(preset)!r} for {expected.__name__}"
        )


def _build(path, dtype):
    document = _read_json(path)
    name = document.get("class_name")
    if name not in CLASSES or not isinstance(document.get("config"), dict):
        raise ValueError(
            f"{path} must have the entries 'class_name', one of "
            f"{', '.join(CLASSES)}, and 'config'. "
            f"Received: {sorted(document)}, class_name={name!r}"
        )
    known = keras.saving.get_registered_object(f"glomo_keras>{name}")
    config = document["config"]
    if dtype is not None:
        config = {**config, "dtype": dtype}
    try:
        return known.from_config(config)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} has a 'config' that {known.__name__} does not take: "
            f"{error}"
        ) from error


def _load_weights(model, path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras warns of what it skips
            model.load_weights(path)
    except (OSError, KeyError, ValueError, UserWarning) as error:
        raise ValueError(
            f"{path} does not fit the model that {CONFIG} describes: {error}"
        ) from error


def _check_version(path, metadata):
    version = metadata.get("format_version")
    if not isinstance(version, int):
        raise ValueError(
            f"{path} lacks an integer 'format_version'. Received: {version!r}"
        )
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path}: this preset has format {version}, this glomo_keras "
            f"reads formats up to {FORMAT_VERSION}: upgrade it. "
            f"Received: format_version={version}"
        )


def _check_files(folder, metadata):
    sums = metadata.get("sha256")
    if not isinstance(sums, dict) or not {CONFIG, WEIGHTS} <= set(sums):
        raise ValueError(
            f"{folder / METADATA} lacks the entry 'sha256' with the sums of "
            f"{CONFIG} and {WEIGHTS}. Received: sha256={sums!r}"
        )
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(
                f"{path} is missing: the preset is incomplete. Copy or write "
                f"it again. Received: {_names(folder)}"
            )
        found = _sha256(path)
        if found != expected:
            raise ValueError(
                f"{path} is damaged: its SHA-256 is not the one in "
                f"{METADATA}. Copy or write the preset again. "
                f"Received: {found}, expected {expected}"
            )


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path):
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ValueError(
            f"{path} is missing: the folder is not a preset, or an "
            f"incomplete one. Received: {_names(path.parent)}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(
            f"{path} must hold a JSON object. Received: {document!r}"
        )
    return document


def _write_json(path, document):
    # Sizes may be numbers of numpy.
    text = json.dumps(document, indent=2, default=operator.index)
    path.write_text(text + "\n", "utf-8")
