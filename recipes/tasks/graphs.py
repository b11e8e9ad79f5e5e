"""Where a task's graphs come from, how they are mixed, and `--matched`."""

import dataclasses
import hashlib
import math

import keras

import glomo_keras as gk
from glomo_keras import data
from glomo_keras.models import presets
from recipes.tasks.options import PREDICTED
from recipes.tasks.options import reads_predictor


def make_graphs(options, seed, max_length=None):
    """Makes the source of the graphs and the layer that applies them.

    Args:
        options: `GraphOptions`.
        seed: int, of the dropout and of an untrained predictor.
        max_length: int, the longest text there is, if that is known.

    Returns:
        `(source, transfer)` as the task models take them; `(None, None)` for
        a model without graphs.
    """
    if options.graph == "none":
        return None, None
    return make_source(options, seed), make_transfer(options, seed, max_length)


def make_source(options, seed):
    """Makes the source of the graphs, see `make_graphs`."""
    if not reads_predictor(options):
        return gk.layers.UniformGraph(name="uniform_graph")
    predictor = gk.GraphPredictor.from_preset(
        options.predictor, dtype=options.predictor_precision
    )
    if options.graph in ("uniform", "decay"):
        # As many heads as the predictor's: each projects the features.
        layers = options.graph_layers or range(predictor.num_graph_layers)
        return gk.layers.DistanceDecayGraph(
            len(layers),
            predictor.num_heads,
            rate=0.0 if options.graph == "uniform" else None,
            name=f"{options.graph}_graph",
        )
    if options.graph == "random":
        keras.utils.set_random_seed(seed)
        predictor = keras.models.clone_model(predictor)  # untrained
    return gk.models.PredictedGraphs(
        predictor, graph_layers=options.graph_layers or None
    )


def make_transfer(options, seed, max_length):
    """Makes the layer that applies the graphs, see `make_graphs`."""
    shared = {
        "units": options.graph_units,
        "dropout": options.graph_dropout,
        "gate_initializer": keras.initializers.Constant(options.gate_bias),
        "seed": seed,
        "name": "graph_transfer",
    }
    if options.transfer == "heads":
        return gk.layers.MultiHeadTransfer(**shared)
    return gk.layers.GraphTransfer(
        num_mixtures=options.num_mixtures,
        conditioned=options.conditioned,
        include_products=options.products,
        max_length=max_length,
        **shared,
    )


def token_tables(options, lexicon):
    """Returns the table of the predictor's ids, if the model needs them."""
    if options.graph not in PREDICTED or options.matched:
        return {}
    tokenizer = data.WordTokenizer.from_preset(options.predictor)
    return {"token_ids": lexicon.token_ids(tokenizer)}


def preset_digests(options):
    """Returns the SHA-256 of the weights of the presets that a run reads.

    Returns:
        Dict of `predictor`, None if it is not read, and `pretrainer`, if the
        features are its.
    """
    read = options.graph in PREDICTED
    digests = {
        "predictor": presets.weights_digest(options.predictor) if read else None
    }
    if "pretrained" in options.features:
        digests["pretrainer"] = presets.weights_digest(options.pretrainer)
    return digests


def predictor_digest(model):
    """Returns the SHA-256 of a model's predictor, None if it has none."""
    predictor = getattr(model.graphs, "predictor", None)
    return None if predictor is None else _sha256(predictor.weights)


def frozen_digest(model):
    """Returns the SHA-256 of what training must not change.

    That is, the frozen weights of the features and of the source of graphs.
    """
    layers = [*model.features.values()]
    if model.graphs is not None:
        layers.append(model.graphs)
    return _sha256([x for each in layers for x in each.non_trainable_weights])


def _sha256(weights):
    total = hashlib.sha256()
    for weight in weights:
        total.update(keras.ops.convert_to_numpy(weight.value).tobytes())
    return total.hexdigest()


def trained_parameters(model):
    """Returns how many numbers training changes."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def match_width(options, loaded, build):
    """Returns the options of the model to train.

    Those of `--matched` get no graphs, and the `hidden_dim` that gives as many
    trained parameters as the graphs would; others stay as they are.

    Args:
        options: `TaskOptions` with `hidden_dim`.
        loaded: `TaskData`.
        build: function of `(options, loaded, seed)` that returns a model.
    """
    if not options.matched:
        return options

    def parameters(**changes):
        changed = dataclasses.replace(options, matched=False, **changes)
        return trained_parameters(build(changed, loaded, 0))

    target = parameters()
    width, found = matched_width(
        lambda width: parameters(graph="none", hidden_dim=width),
        target,
        max(options.hidden_dim, 1),
    )
    print(
        f"matched: width {options.hidden_dim} -> {width} gives {found:,} "
        f"trained parameters; with graphs there are {target:,}"
    )
    return dataclasses.replace(
        options, matched=False, graph="none", hidden_dim=width
    )


def matched_width(parameters, target, start):
    """Searches for the width that gives the wanted number of parameters.

    Args:
        parameters: increasing function of a width, an int.
        target: the wanted number.
        start: a width known to give fewer.

    Returns:
        `(width, parameters)` nearest to the target.
    """
    low, high = start, 2 * start
    counts = {low: parameters(low)}
    while counts.setdefault(high, parameters(high)) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        counts[middle] = parameters(middle)
        low, high = (middle, high) if counts[middle] < target else (low, middle)
    return min(counts.items(), key=lambda item: abs(item[1] - target))
