"""Presets: a folder with a model, its vocabulary and where they come from.

config.json       class name and constructor arguments
model.weights.h5  weights, as `keras.Model.save_weights` stores them, without
                  those of an optimizer
vocabulary.txt    one token a line, in the order of the ids (of texts)
metadata.json     format version, versions, tokenizer, SHA-256 of the rest

Format 2. Presets of format 1 are converted as they are read, see
`preset_format_1`.
"""

import json
import pathlib
import warnings

import h5py
import keras
import numpy as np

from glomo_keras import bundled_presets
from glomo_keras.models import preset_format_1
from glomo_keras.utils import files
from glomo_keras.utils import validation as check

FORMAT_VERSION = 2
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
VOCABULARY, METADATA = "vocabulary.txt", "metadata.json"
CLASSES = (
    "GraphPredictor",
    "CoupledGraphPredictor",
    "ContextPretrainer",
    "ImageGraphPredictor",
    "PixelPretrainer",
    "SkipThoughtPretrainer",
)


def save(model, folder, dtype="float32"):
    """Writes a model, its vocabulary and metadata to a folder.

    Metadata is written last: a preset that was cut off half-way lacks it.

    Args:
        model: One of `CLASSES`.
        folder: Path; made if needed.
        dtype: `"float32"` or `"float16"`, in which floating point weights
            are stored. They are read into the dtype of the model's weights.
            Defaults to `"float32"`.

    Raises:
        ValueError: If the dtype is another, or a weight is too large for it.
    """
    check.check_option("dtype", dtype, ("float32", "float16"))
    folder = pathlib.Path(folder)
    predictor = getattr(model, "graph_predictor", model)
    document = _document(model)
    # Numbers of numpy are stored; what else JSON cannot hold is refused here,
    # before anything is removed.
    document = json.loads(json.dumps(document, default=np.generic.item))
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f"whole.{WEIGHTS}"
    try:
        model.save_weights(whole)
        with files.atomic_path(folder / WEIGHTS) as stored:
            _convert(whole, stored, dtype)
            # Nothing is refused from here on: a preset that is there may go.
            (folder / METADATA).unlink(missing_ok=True)
            files.write_json(folder / CONFIG, document)
    finally:
        whole.unlink(missing_ok=True)
    names = [CONFIG, WEIGHTS]
    (folder / VOCABULARY).unlink(missing_ok=True)
    if predictor.vocabulary is not None:
        files.write_vocabulary(folder / VOCABULARY, predictor.vocabulary)
        names.append(VOCABULARY)
    metadata = {
        "format_version": FORMAT_VERSION,
        "keras_version": keras.version(),
        "tokenizer": predictor.tokenizer_config,
        "sha256": {name: files.sha256(folder / name) for name in names},
    }
    files.write_json(folder / METADATA, metadata)


def load(preset, dtype=None):
    """Reads the model that `save` wrote, with its vocabulary.

    Args:
        preset: Folder, or name of a preset that comes with the package.
        dtype: Dtype policy, or its name. Defaults to `None`, that of the
            saved model.

    Returns:
        A model, one of `CLASSES`.

    Raises:
        ValueError: If there is no such preset, or a damaged, incomplete or
            too new one. The message names the file and the fault.
    """
    folder = bundled_presets.find(preset)
    metadata = _read_json(folder / METADATA)
    version = _checked_version(folder / METADATA, metadata)
    _check_files(folder, metadata)
    model = _build(folder / CONFIG, version, dtype)
    _load_weights(model, folder / WEIGHTS, version)
    predictor = getattr(model, "graph_predictor", model)
    predictor.tokenizer_config = metadata.get("tokenizer")
    if VOCABULARY in metadata["sha256"]:
        predictor.vocabulary = _read_vocabulary(folder, predictor)
    return model


def weights_digest(preset):
    """Returns the SHA-256 of a preset's weights, as its metadata has it."""
    metadata = _read_json(bundled_presets.find(preset) / METADATA)
    return metadata["sha256"][WEIGHTS]


def check_class(preset, model, expected):
    """Raises ValueError unless the model is of the class expected."""
    if not isinstance(model, expected):
        name = type(model).__name__
        raise ValueError(
            f"This preset holds {name}: load it with `{name}.from_preset`. "
            f"Received: preset={str(preset)!r} for {expected.__name__}"
        )


def _document(model):
    """Returns class and config, without what has files of its own."""
    config = model.get_config()
    predictor = config.get("graph_predictor", {"config": config})["config"]
    for name in ("vocabulary", "tokenizer_config"):
        predictor.pop(name, None)
    return {"class_name": type(model).__name__, "config": config}


def _convert(path, stored, dtype):
    """Copies a file of weights without the optimizer's, in another dtype."""
    names = []
    with h5py.File(path, "r") as file, h5py.File(stored, "w") as other:
        file.visit(names.append)
        for name in names:
            if name.split("/")[0] != "optimizer":
                _copy_item(file, other, name, dtype)


def _copy_item(file, other, name, dtype):
    item = file[name]
    if isinstance(item, h5py.Group):
        other.require_group(name)
    elif item.dtype.kind == "f":
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                other[name] = item[()].astype(dtype)
            except RuntimeWarning as error:
                raise ValueError(
                    f"A weight is too large for {dtype}: save with "
                    f"dtype='float32'. Received: {name}"
                ) from error
    else:
        file.copy(name, other, name)
    other[name].attrs.update(item.attrs)


def _build(path, version, dtype):
    document = _read_json(path)
    name = document.get("class_name")
    if name not in CLASSES or not isinstance(document.get("config"), dict):
        raise ValueError(
            f"{path} must have the entries 'class_name', one of "
            f"{', '.join(CLASSES)}, and 'config'. "
            f"Received: {sorted(document)}, class_name={name!r}"
        )
    try:
        if version == 1:
            document = preset_format_1.convert_document(document)
        known = keras.saving.get_registered_object(
            f"glomo_keras>{document['class_name']}"
        )
        return known.from_config(_with_dtype(document["config"], dtype))
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} has a 'config' that {name} does not take: {error}"
        ) from error


def _with_dtype(config, dtype):
    """Returns the config with another policy, also of its predictor."""
    if dtype is None:
        return config
    config = {**config, "dtype": dtype}
    if "graph_predictor" in config:
        predictor = config["graph_predictor"]
        policy = keras.dtype_policies.serialize(keras.dtype_policies.get(dtype))
        config["graph_predictor"] = {
            **predictor,
            "config": {**predictor["config"], "dtype": policy},
        }
    return config


def _load_weights(model, path, version):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras warns of what it skips
            if version == 1:
                preset_format_1.load_weights(model, path)
            else:
                model.load_weights(path)
    except (OSError, KeyError, ValueError, UserWarning) as error:
        raise ValueError(
            f"{path} does not fit the model that {CONFIG} describes: {error}"
        ) from error


def _read_vocabulary(folder, predictor):
    tokens = files.read_vocabulary(folder / VOCABULARY)
    if len(tokens) != predictor.vocabulary_size:
        raise ValueError(
            f"{folder / VOCABULARY} must have {predictor.vocabulary_size} "
            f"lines, the `vocabulary_size` of {CONFIG}. "
            f"Received: {len(tokens)} lines"
        )
    return tokens


def _checked_version(path, metadata):
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
    return version


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
        found = files.sha256(path)
        if found != expected:
            raise ValueError(
                f"{path} is damaged: its SHA-256 is not the one in "
                f"{METADATA}. Copy or write the preset again. "
                f"Received: {found}, expected {expected}"
            )


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _read_json(path):
    try:
        document = files.read_json(path)
    except FileNotFoundError as error:
        raise ValueError(
            f"{path} is missing: the folder is not a preset, or an "
            f"incomplete one. Received: {_names(path.parent)}"
        ) from error
    if not isinstance(document, dict):
        raise ValueError(
            f"{path} must hold a JSON object. Received: {document!r}"
        )
    return document
