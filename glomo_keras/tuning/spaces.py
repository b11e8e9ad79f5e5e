"""What a search can choose, as functions of KerasTuner's hyperparameters.

Each declares its hyperparameters on `hp` and returns the values that `hp`
has for them, under the names that `recipes.tasks.options` gives them.
"""

UNITS = (16, 32, 64, 128)
MIXTURES = (1, 2, 4)
DROPOUTS = (0.0, 0.6, 0.1)  # lowest, highest, step


def layer_ranges(num_graph_layers):
    """The runs of neighbouring graph layers, as those products are made of.

    Args:
        num_graph_layers: int, L.

    Returns:
        Dict of name to tuple of numbers of layers, from 1; all layers first.

    Example:

    >>> layer_ranges(2)
    {'1-2': (1, 2), '1': (1,), '2': (2,)}
    """
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


def mixture_space(hp, num_graph_layers):
    """How graphs are mixed, and where they are put.

    Products exist where there are two graph layers or more, so only there
    they are a choice.

    Args:
        hp: `keras_tuner.HyperParameters`.
        num_graph_layers: int, L of the predictor.

    Returns:
        Dict of `graph` ("glomo" on embeddings, "glomo-rnn" on the states of
        the first RNN), `conditioned`, `num_mixtures`, `graph_units` (width of
        the gate's output), `graph_layers` and `products`.
    """
    ranges = layer_ranges(num_graph_layers)
    values = {
        "graph": hp.Choice("graph", ["glomo", "glomo-rnn"]),
        "conditioned": hp.Boolean("conditioned"),
        "num_mixtures": hp.Choice("num_mixtures", list(MIXTURES)),
        "graph_units": hp.Choice("graph_units", list(UNITS), default=64),
    }
    chosen = hp.Choice("graph_layers", list(ranges))
    values["graph_layers"] = ranges[chosen]
    values["products"] = False
    several = [name for name, run in ranges.items() if len(run) > 1]
    if several:
        with hp.conditional_scope("graph_layers", several):
            products = hp.Boolean("products")
        values["products"] = bool(products) and chosen in several
    return values


def context_space(hp, context_lengths, learning_rate):
    """The context length of the predictor, and how the task is trained.

    Args:
        hp: `keras_tuner.HyperParameters`.
        context_lengths: sequence of ints, those D that there is a predictor
            of.
        learning_rate: float; a quarter of it to four times as much.

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
