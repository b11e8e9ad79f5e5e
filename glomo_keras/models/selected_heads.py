"""Makes a smaller predictor from some layers and heads of another."""

import keras
import numpy as np

from glomo_keras.utils import validation as check


def select_heads(predictor, layers=None, heads=None):
    """Returns a predictor of some of the layers and heads of another.

    Args:
        predictor: `GraphPredictor` or `ImageGraphPredictor`.
        layers: See `GraphPredictor.select`.
        heads: See `GraphPredictor.select`.

    Returns:
        A new predictor of the same class, with the kept heads' weights.
    """
    layers, heads = _chosen(predictor, layers, heads)
    some = next(iter(heads.values()))
    config = {
        **predictor.get_config(),
        "num_graph_layers": some.shape[0],
        "num_heads": some.shape[1],
    }
    if "rotary_heads" in config:
        config["rotary_heads"] = {
            direction: _rotated(predictor.rotary_heads[direction], layers, kept)
            for direction, kept in heads.items()
        }
    smaller = type(predictor).from_config(config)
    selected = {
        id(weight): values
        for direction, projection in predictor.projections.items()
        for weight, values in _selected(projection, layers, heads[direction])
    }
    for ours, theirs in zip(smaller.weights, predictor.weights, strict=True):
        # A copy: on JAX, `predict` and `fit` use up the arrays of a model.
        values = selected.get(id(theirs))
        ours.assign(_array(theirs) if values is None else values)
    smaller.trainable = predictor.trainable
    return smaller


def _selected(projection, layers, heads):
    """Yields each weight of a `KeyQueryProjection` and what heads need of it.

    Args:
        projection: `KeyQueryProjection`.
        layers: Integer array `(L',)`, from 0.
        heads: Integer array `(L', K')`, from 0.
    """
    at = (layers[:, None], heads)
    size = projection.num_graph_layers, projection.num_heads, projection.key_dim
    for kernel in (projection.key_kernel, projection.query_kernel):
        values = _array(kernel).reshape(-1, *size)[:, *at]  # (d, L', K', C)
        yield kernel, values.reshape(len(values), -1)
    for bias in (projection.key_bias, projection.query_bias):
        yield bias, _array(bias)[at]
    yield projection.threshold_bias, _array(projection.threshold_bias)[layers]
    if projection.threshold_kernel is not None:
        kernel = projection.threshold_kernel
        yield kernel, _array(kernel)[layers]


def _rotated(rotary_heads, layers, heads):
    """Returns the `rotary_heads` of a projection for the heads kept."""
    if rotary_heads is None:
        return None
    return np.array(rotary_heads)[layers[:, None], heads].tolist()


def _array(variable):
    return np.array(keras.ops.convert_to_numpy(variable.value))


def _chosen(predictor, layers, heads):
    """Layers `(L',)` and, by direction, heads `(L', K')`, both from 0."""
    layers = check.chosen_numbers("layers", layers, predictor.num_graph_layers)
    if not isinstance(heads, dict):
        heads = dict.fromkeys(predictor.directions, heads)
    if set(heads) != set(predictor.directions):
        raise ValueError(
            "A dict of `heads` must have the predictor's directions, "
            f"{tuple(predictor.directions)}. Received: heads={heads}"
        )
    heads = {
        direction: _heads_of_layers(given, len(layers), predictor.num_heads)
        for direction, given in heads.items()
    }
    counts = {len(row) for rows in heads.values() for row in rows}
    if len(counts) > 1:
        raise ValueError(
            "Every layer and direction must keep as many heads: graphs have "
            "the shape (B, L, K, T, T). Received: heads="
            f"{ {d: [len(row) for row in rows] for d, rows in heads.items()} }"
            " heads a layer"
        )
    heads = {direction: np.array(rows) - 1 for direction, rows in heads.items()}
    return np.array(layers) - 1, heads


def _heads_of_layers(heads, num_layers, num_heads):
    """A list of heads from 1 for each layer that is kept."""
    nested = np.iterable(heads) and any(np.ndim(item) for item in heads)
    if not nested:
        return [check.chosen_numbers("heads", heads, num_heads)] * num_layers
    if len(heads) != num_layers:
        raise ValueError(
            "A list of lists of `heads` must have one for each layer that is "
            f"kept, {num_layers}. Received: heads={heads}"
        )
    return [check.chosen_numbers("heads", row, num_heads) for row in heads]
