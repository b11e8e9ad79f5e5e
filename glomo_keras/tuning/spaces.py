"""Search spaces, as functions of KerasTuner's hyperparameters.

Each declares its hyperparameters on `hp` and returns the values that `hp`
has for them.
"""

UNITS = (16, 32, 64, 128)
MIXTURES = (1, 2, 4)
DROPOUTS = (0.0, 0.6, 0.1)  # lowest, highest, step


def mixture_space(hp, num_graph_layers):
    """Declares how graphs are mixed, and where they act.

    The graph layers are a run of neighbouring ones, "1-3" or "2", as products
    are made of. Products exist from two layers on, so only there they are a
    choice.

    Args:
        hp: `keras_tuner.HyperParameters`.
        num_graph_layers: Number of graph layers of the predictor.

    Returns:
        Dict of `placement` ("embeddings" or "states"), `conditioned`,
        `num_mixtures`, `units` (width of the gate's output), `graph_layers`
        (tuple of numbers from 1) and `include_products`, named as the
        arguments of `TextClassifier`, `GraphTransfer` and `PredictedGraphs`.

    Example:

    >>> import keras_tuner
    >>> mixture_space(keras_tuner.HyperParameters(), 2)["graph_layers"]
    (1, 2)
    """
    runs = _layer_runs(num_graph_layers)
    values = {
        "placement": hp.Choice("placement", ["embeddings", "states"]),
        "conditioned": hp.Boolean("conditioned"),
        "num_mixtures": hp.Choice("num_mixtures", list(MIXTURES)),
        "units": hp.Choice("units", list(UNITS), default=64),
    }
    chosen = hp.Choice("graph_layers", list(runs))
    values["graph_layers"] = runs[chosen]
    values["include_products"] = False
    several = [name for name, run in runs.items() if len(run) > 1]
    if several:
        with hp.conditional_scope("graph_layers", several):
            products = hp.Boolean("include_products")
        values["include_products"] = bool(products) and chosen in several
    return values


def context_space(hp, context_lengths, learning_rate):
    """Declares the context length of the predictor and how a task is trained.

    Args:
        hp: `keras_tuner.HyperParameters`.
        context_lengths: Sequence of ints, the context lengths D of the
            predictors at hand.
        learning_rate: The middle of the rates to try: a quarter of it to
            four times as much.

    Returns:
        Dict of `context_length`, `learning_rate` and `dropout`.
    """
    lowest, highest, step = DROPOUTS
    return {
        "context_length": hp.Choice("context_length", list(context_lengths)),
        "learning_rate": hp.Float(
            "learning_rate",
            learning_rate / 4,
            learning_rate * 4,
            sampling="log",
            step=2,
            default=learning_rate,
        ),
        "dropout": hp.Float("dropout", lowest, highest, step=step, default=0.3),
    }


def _layer_runs(num_graph_layers):
    """Returns names and numbers of neighbouring layers, the longest first."""
    numbers = range(1, num_graph_layers + 1)
    runs = [
        tuple(range(first, last + 1))
        for first in numbers
        for last in range(first, num_graph_layers + 1)
    ]
    runs.sort(key=lambda run: (-len(run), run))
    return {
        f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]): run
        for run in runs
    }
