"""Presets of format 1, which version 0.1 wrote, read as those of format 2.

In format 1 a pretrainer had all arguments of its predictor, an option
`coupled` made a `GraphPredictor` the ablation that is now a class, and the
weights of functional models were stored by the order of their layers.
"""

import pathlib
import re
import tempfile

import h5py
import keras

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
GROUPS = (
    (r"layers/embedding/", "token_embedding/"),
    (r"layers/pixel_embedding/", "pixel_embedding/"),
    (r"layers/(masked_key_query_conv)", r"convolutions/\1"),
    (r"layers/squared_re_lu_graph", "projections/key_query_projection"),
    (r"layers/(feature_composition)", r"compositions/\1"),
)


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
    made = keras.saving.get_registered_object(
        f"glomo_keras>{predictor['class_name']}"
    ).from_config(predictor["config"])
    own["graph_predictor"] = keras.saving.serialize_keras_object(made)
    return {"class_name": name, "config": own}


def _predictor(name, config):
    """The class and config of a predictor, as Keras serializes an object."""
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
