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


def inputs(units=7, lengths=(7, 4), seed=0):
    """Token ids and padding mask."""
    ids = np.random.default_rng(seed).integers(0, 9, (len(lengths), units))
    mask = np.arange(units) < np.array(lengths)[:, None]
    return {"token_ids": ids.astype("int32"), "padding_mask": mask}


def randomised(model):
    """The model with random weights: graphs with many edges."""
    rng = np.random.default_rng(5)
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


def small_pretrainer(**kwargs):
    return randomised(gk.ContextPretrainer(**{**SIZES, **kwargs}))


def arrays(model):
    """All weights as numpy arrays."""
    return [to_numpy(weight) for weight in model.weights]
