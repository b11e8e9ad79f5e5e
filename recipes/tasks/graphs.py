"""The modes of the graphs, from options."""

import hashlib
import json
import math

import keras

import glomo_keras as gk
from glomo_keras import bundled_presets
from glomo_keras import data
from glomo_keras.models import presets
from glomo_keras.models.task_graphs import PREDICTED
from recipes.tasks.options import WITH_PREDICTOR


def tables(options, lexicon):
    """What `data.Examples` makes the predictor's ids from, if it is used."""
    if options.graph not in PREDICTED:
        return {}
    tokenizer = data.WordTokenizer.from_preset(options.predictor)
    return {"token_ids": lexicon.token_ids(tokenizer)}


def preset_digest(options):
    """The SHA-256 of the predictor's weights, None where it is not used."""
    if options.graph not in WITH_PREDICTOR:
        return None
    path = bundled_presets.find(options.predictor) / presets.METADATA
    return json.loads(path.read_text("utf-8"))["sha256"][presets.WEIGHTS]


def make_graphs(options, seed=0, mode=None):
    """The `TaskGraphs` of the options.

    Args:
        options: `GraphOptions`.
        seed: int, of the dropout.
        mode: instead of `options.graph`.

    Where the options say that no text is longer than `max_length`, the
    transfer uses it.
    """
    mode = mode or options.graph
    predictor = None
    if mode in PREDICTED:
        predictor = gk.GraphPredictor.from_preset(
            options.predictor, dtype=options.predictor_precision
        )
    return gk.models.TaskGraphs(
        mode,
        predictor,
        num_mixtures=options.num_mixtures,
        conditioned=options.conditioned,
        include_products=options.products,
        graph_layers=options.graph_layers or None,
        units=options.graph_units,
        dropout=options.graph_dropout,
        seed=seed,
        max_length=getattr(options, "max_length", None),
    )


def trained_parameters(model):
    """How many numbers training changes."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def matched_width(build, target, start):
    """The width that gives a model the wanted number of parameters.

    Args:
        build: function of a width, an int, that returns a model; more width,
            more parameters.
        target: the wanted number of trained parameters.
        start: int, a width known to give fewer.

    Returns:
        `(width, parameters)` nearest to the target.
    """

    def parameters(width):
        return trained_parameters(build(width))

    low, high = start, 2 * start
    counts = {low: parameters(low)}
    while counts.setdefault(high, parameters(high)) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        counts[middle] = parameters(middle)
        low, high = (middle, high) if counts[middle] < target else (low, middle)
    return min(counts.items(), key=lambda item: abs(item[1] - target))


def match(options, build, width):
    """The width of the mode `matched`, found by search, which is printed.

    Args:
        options: `GraphOptions`.
        build: function of `(graphs, width)` that returns a model.
        width: int, that of the other modes.

    Returns:
        Int: `width` for the other modes.
    """
    if options.graph != "matched":
        return width
    glomo = trained_parameters(build(make_graphs(options, mode="glomo"), width))
    found, parameters = matched_width(
        lambda width: build(gk.models.TaskGraphs(), width), glomo, width
    )
    print(
        f"matched: width {width} -> {found} gives {parameters:,} trained "
        f"parameters; glomo has {glomo:,} at width {width}"
    )
    return found


def digest(predictor):
    """SHA-256 of all weights of a predictor, or None without one."""
    if predictor is None:
        return None
    total = hashlib.sha256()
    for weight in predictor.weights:
        total.update(keras.ops.convert_to_numpy(weight.value).tobytes())
    return total.hexdigest()


def describe(options):
    """One line on the mode, for the terminal and titles of pictures."""
    text = options.graph
    if options.graph in PREDICTED:
        kind = "conditioned" if options.conditioned else "free"
        products = "with" if options.products else "without"
        text += (
            f", {options.num_mixtures} {kind} mixture(s) {products} products"
        )
        if options.graph_layers:
            text += f" of layers {options.graph_layers}"
    return text
