"""Models small enough for tests, with no weight left at its first value."""

import numpy as np

import glomo_keras as gk
from tests.backends import to_numpy

SIZES = {
    "vocabulary_size": 9,
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 3,
    "num_conv_layers": 2,
    "num_graph_layers": 2,
}

PRETRAINER = (
    "context_length",
    "num_positions",
    "num_candidates",
    "num_decoder_layers",
    "messages",
    "composition",
    "share_cell",
    "empty_row_weight",
    "scale_embedding_gradient",
    "seed",
)


def inputs(length=7, lengths=(7, 4), seed=0):
    """Token ids and padding mask."""
    ids = np.random.default_rng(seed).integers(0, 9, (len(lengths), length))
    mask = np.arange(length) < np.array(lengths)[:, None]
    return {"token_ids": ids.astype("int32"), "padding_mask": mask}


def randomised(model):
    """The model with random weights: graphs with many edges."""
    rng = np.random.default_rng(13)
    for weight in model.weights:
        if "seed" in weight.path:
            continue
        values = rng.normal(size=weight.shape) / 2
        if "variance" in weight.name:
            values = values**2 + 0.5
        weight.assign(values)
    return model


def small_predictor(**kwargs):
    return randomised(gk.GraphPredictor(**{**SIZES, **kwargs}))


def coupled_predictor(**kwargs):
    sizes = {k: v for k, v in SIZES.items() if k != "num_conv_layers"}
    return gk.models.CoupledGraphPredictor(**{**sizes, **kwargs})


def make_pretrainer(coupled=False, **kwargs):
    """A pretrainer from options of its own and of its predictor."""
    own = {k: kwargs.pop(k) for k in PRETRAINER if k in kwargs}
    if coupled:
        shared = {k: own[k] for k in ("composition", "share_cell") if k in own}
        predictor = coupled_predictor(**kwargs, **shared)
    else:
        predictor = gk.GraphPredictor(**{**SIZES, **kwargs})
    return gk.ContextPretrainer(predictor, **own)


def small_pretrainer(**kwargs):
    return randomised(make_pretrainer(**kwargs))


def arrays(model):
    """All weights as numpy arrays."""
    return [to_numpy(weight) for weight in model.weights]


GRAPHS = ("none", "embeddings", "states", "uniform")
"""No graphs, a predictor's at either placement, uniform ones."""


def graph_options(name, predictor=None, graph_layers=None, **transfer):
    """Arguments of a task model of texts for one of `GRAPHS`."""
    if name == "none":
        return {}
    options = {"transfer": gk.layers.GraphTransfer(**transfer)}
    if name == "uniform":
        return {"graphs": gk.layers.UniformGraph(), **options}
    source = gk.models.PredictedGraphs(
        small_predictor(num_conv_layers=1) if predictor is None else predictor,
        graph_layers,
    )
    return {"graphs": source, "placement": name, **options}
