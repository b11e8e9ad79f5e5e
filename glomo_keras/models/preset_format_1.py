"""Presets of format 1, which version 0.1 wrote, read as those of format 2.

In format 1 a pretrainer had all arguments of its predictor, an option
`coupled` made a `GraphPredictor` the ablation that is now a class, and the
weights of functional models were stored by the order of their layers.
"""

import pathlib
import re
import tempfile

import h5py

PRETRAINERS = {
    "ContextPretrainer": "GraphPredictor",
    "PixelPretrainer": "ImageGraphPredictor",
}
OF_PRETRAINER = (
    "context_length",
    "num_positions",
    "num_candidates",
    "num_decoder_layers",
    "composition",
    "share_cell",
    "scale_embedding_gradient",
    "seed",
    "name",
    "trainable",
    "window_size",
    "anchor",
    "channel_order",
)
NOT_OF_COUPLED = (
    "kernel_size",
    "num_conv_layers",
    "normalization",
    "dropout",
)
NEW_CLASSES = {
    "masked_key_query_conv": "convolutions/masked_key_query_conv",
    "squared_re_lu_graph": "layers/key_query_projection",
}


def convert_document(document):
    """Returns the contents of `config.json` in format 2.

    Args:
        document: Dict of `class_name` and `config`, format 1.
    """
    name, config = document["class_name"], dict(document["config"])
    if name not in PRETRAINERS:
        return _predictor(name, config)
    frozen = not config.pop("trainable_graphs", True)
    own = {key: config.pop(key) for key in OF_PRETRAINER if key in config}
    if name == "ContextPretrainer":
        config |= {key: own[key] for key in ("composition", "share_cell")}
    predictor = _predictor(PRETRAINERS[name], config)
    predictor["config"] |= {"name": "graph_predictor", "trainable": not frozen}
    own["graph_predictor"] = predictor
    return {"class_name": name, "config": own}


def _predictor(name, config):
    """Returns class and config of a predictor, as Keras serializes them."""
    coupled = config.pop("coupled", False)
    if coupled:
        name = "CoupledGraphPredictor"
        config = {k: v for k, v in config.items() if k not in NOT_OF_COUPLED}
    else:
        config = {
            key: value
            for key, value in config.items()
            if key not in ("composition", "share_cell")
        }
    return {
        "module": "glomo_keras.models",
        "class_name": name,
        "config": config,
        "registered_name": f"glomo_keras>{name}",
    }


def load_weights(model, path):
    """Reads weights of format 1 into a model.

    Args:
        model: Predictor or pretrainer.
        path: The HDF5 file.
    """
    predictor = getattr(model, "graph_predictor", model)
    with tempfile.TemporaryDirectory() as folder:
        renamed = pathlib.Path(folder) / "model.weights.h5"
        with h5py.File(path, "r") as old, h5py.File(renamed, "w") as new:

            def copy(name, item):
                if isinstance(item, h5py.Dataset):
                    new[_new_name(name, predictor)] = item[()]

            old.visititems(copy)
        model.load_weights(renamed)


def _new_name(name, predictor):
    """Returns the name in format 2 of a dataset of format 1.

    There layers of a class were numbered from the input on, at each depth
    backward before forward; here forward comes first.
    """
    match = re.fullmatch(r"(.*?)layers/([a-z_]+?)(?:_(\d+))?/(.*)", name)
    if match is None:
        return name
    start, kind, number, rest = match.groups()
    depth, place = divmod(int(number or 0), len(predictor.directions))
    direction = len(predictor.directions) - 1 - place
    if kind == "feature_composition":
        group = _numbered("compositions/container", direction)
        return f"{start}{group}/{_numbered(kind, depth)}/{rest}"
    if kind not in NEW_CLASSES:
        return name
    if hasattr(predictor, "compositions"):  # coupled: a layer at each depth
        direction = direction * predictor.num_graph_layers + depth
    return f"{start}{_numbered(NEW_CLASSES[kind], direction)}/{rest}"


def _numbered(name, number):
    return f"{name}_{number}" if number else name
