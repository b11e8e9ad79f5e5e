"""Reads the files of a published ELMo: options.json and HDF5 weights."""

import numpy as np

from glomo_keras import layers
from glomo_keras.ops.elmo_characters import NUM_CHARACTERS
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import files

ENTRIES = {
    "char_embedding_dim": ("char_cnn", "embedding", "dim"),
    "filters": ("char_cnn", "filters"),
    "num_highway": ("char_cnn", "n_highway"),
    "num_characters": ("char_cnn", "n_characters"),
    "max_characters": ("char_cnn", "max_characters_per_token"),
    "activation": ("char_cnn", "activation"),
    "projection_dim": ("lstm", "projection_dim"),
    "lstm_dim": ("lstm", "dim"),
    "num_layers": ("lstm", "n_layers"),
    "cell_clip": ("lstm", "cell_clip"),
    "projection_clip": ("lstm", "proj_clip"),
    "use_skip_connections": ("lstm", "use_skip_connections"),
}
"""Where `ElmoLanguageModel`'s arguments stand in options.json."""


def load_elmo(
    options_path,
    weights_path,
    normalize=False,
    finetune=False,
    **kwargs,
):
    """Makes an `Elmo` layer from published files, AllenNLP's or bilm-tf's.

    Args:
        options_path: str or path of the JSON file.
        weights_path: str or path of the HDF5 file.
        normalize, finetune: see `layers.Elmo`.
        kwargs: of `keras.layers.Layer`, such as `name` and `dtype`.

    Returns:
        `layers.Elmo`, built, with the weights. Saved in a model, it needs the
        files no more.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file is of another kind, lacks an entry or a key, or
            an array has another shape than the options say or a number that
            is not finite. The message names file and entry.

    Example:

    ```python
    elmo = load_elmo("elmo_options.json", "elmo_weights.hdf5")
    features = elmo(elmo_char_ids([["A", "cat", "."]]))  # (1, 3, 1024)
    ```
    """
    options = read_elmo_options(options_path)
    try:
        model = layers.ElmoLanguageModel(
            **options,
            use_projection=_has_projection(weights_path),
            name="language_model",
            dtype=kwargs.get("dtype"),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{options_path}: {error}") from error
    elmo = layers.Elmo(model, normalize, finetune, **kwargs)
    elmo.build((None, None, model.max_characters))
    read_elmo_weights(weights_path, model)
    return elmo


def read_elmo_options(path):
    """Reads the sizes of a published ELMo.

    Args:
        path: str or path of the JSON file.

    Returns:
        Dict of arguments of `layers.ElmoLanguageModel`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON or lacks an entry; the message names it.
    """
    entries = files.read_json(path)
    options = {
        name: _entry(path, entries, keys) for name, keys in ENTRIES.items()
    }
    count = options["num_characters"]
    if not isinstance(count, int) or count < NUM_CHARACTERS - 1:
        raise ValueError(
            f"{path}: char_cnn.n_characters must be at least "
            f"{NUM_CHARACTERS - 1}. Received: n_characters={count!r}"
        )
    # Models are trained with one id fewer: 0, the padding, came later.
    options["num_characters"] = max(count, NUM_CHARACTERS)
    return options


def _entry(path, entries, keys):
    value = entries
    for depth, key in enumerate(keys, 1):
        if not isinstance(value, dict) or key not in value:
            raise ValueError(
                f"{path} lacks the entry {'.'.join(keys[:depth])!r} of ELMo's "
                f"options. Received: {sorted(entries)}"
            )
        value = value[key]
    return value


def read_elmo_weights(path, model):
    """Sets a model's weights to the published ones.

    Args:
        path: str or path of the HDF5 file.
        model: `layers.ElmoLanguageModel`, built.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: See `load_elmo`. The model is left as it was.
    """
    variables = _variables(model)
    with _open(path) as file:
        missing = [key for key in variables if key not in file]
        if missing:
            raise ValueError(
                f"{path} lacks {len(missing)} of the {len(variables)} arrays "
                f"that the options ask for. Received: no {missing[:5]}"
            )
        arrays = {
            key: _array(path, file, key, variable)
            for key, variable in variables.items()
        }
    for key, variable in variables.items():
        variable.assign(arrays[key])


def _array(path, file, key, variable):
    """Reads the array of a key, in the shape of its variable."""
    shape = tuple(variable.shape)
    if key == "char_embed":
        expected = (shape[0] - 1, *shape[1:])
    elif key.startswith("CNN/W"):
        expected = (1, *shape)
    else:
        expected = shape
    found = getattr(file[key], "shape", "a group")
    if found != expected:
        raise ValueError(
            f"{path}: {key} must have shape {expected} by the options. "
            f"Received: {found}"
        )
    array = np.asarray(file[key], dtype="float32")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{path} is damaged. Received: numbers in {key} not finite"
        )
    if key == "char_embed":  # the padding's row comes first
        return np.concatenate([np.zeros((1, shape[1]), "float32"), array])
    return array.reshape(shape)


def _variables(model):
    """Maps the file's keys to the model's variables."""
    encoder = model.encoder
    variables = {"char_embed": encoder.embedding.embeddings}
    for index, layer in enumerate(encoder.convolutions):
        variables[f"CNN/W_cnn_{index}"] = layer.kernel
        variables[f"CNN/b_cnn_{index}"] = layer.bias
    for index in range(encoder.num_highway):
        for name, units in (
            ("carry", encoder.gates),
            ("transform", encoder.transforms),
        ):
            prefix = f"CNN_high_{index}"
            variables[f"{prefix}/W_{name}"] = units[index].kernel
            variables[f"{prefix}/b_{name}"] = units[index].bias
    if encoder.use_projection:
        variables["CNN_proj/W_proj"] = encoder.projection.kernel
        variables["CNN_proj/b_proj"] = encoder.projection.bias
    for side, direction in enumerate(DIRECTIONS):
        for index, lstm in enumerate(model.lstms[direction]):
            cell = f"RNN_{side}/RNN/MultiRNNCell/Cell{index}/LSTMCell"
            variables[f"{cell}/W_0"] = lstm.cell.kernel
            variables[f"{cell}/B"] = lstm.cell.bias
            variables[f"{cell}/W_P_0"] = lstm.cell.projection
    return variables


def _has_projection(path):
    """Returns True if the file has one; None leaves it to the sizes."""
    with _open(path) as file:
        return True if "CNN_proj" in file else None


def _open(path):
    import h5py

    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"{path} is no HDF5 file, or a damaged one. Received: {error}"
        ) from error
