"""A training step of a task's model, with graphs beside without."""

from benchmarks.measuring import time_alternately
from benchmarks.tables import quantity
from benchmarks.tables import ratio

LENGTH, BATCH, WORDS = 200, 32, 5000
MODES = {
    "uniform": {"graph": "uniform"},
    "predicted": {"graph": "predicted"},
    "predicted, all layers": {
        "graph": "predicted",
        "graph_layers": (),
        "products": False,
    },
    "predicted, products": {"graph": "predicted", "graph_layers": ()},
}
"""Options of recipes.tasks.imdb; the others are its defaults."""
TITLE = (
    f"Steps of recipes.tasks.imdb: B = {BATCH}, T = {LENGTH}, graphs of "
    "glomo_small_en included; CPU ms of a step with graphs and without, timed "
    "in turn"
)


def cases(options):
    return [
        f"{mode}:{width}" for width in options.task_widths for mode in MODES
    ]


def measure(fields, options):
    """CPU seconds of a training step with graphs, and without.

    Args:
        fields: a key of MODES, hidden_dim of the model.
        options: the benchmark's.
    """
    mode, width = fields
    steps = {
        "graphs": training_step(MODES[mode], int(width)),
        "none": training_step({"graph": "none"}, int(width)),
    }
    times = time_alternately(steps, options.calls)
    return {name: time["cpu_seconds"] for name, time in times.items()}


def training_step(changes, width):
    """A function that makes one step of `recipes.tasks.imdb` on random words.

    Args:
        changes: dict of its options.
        width: hidden_dim.
    """
    import types

    import keras
    import numpy as np

    from recipes.tasks import imdb
    from recipes.tasks.features import Features

    options = imdb.Options(
        out="unused", max_length=LENGTH, hidden_dim=width, **changes
    )
    embedding = keras.layers.Embedding(WORDS, 100, trainable=False)
    features = Features({}, {}, {"word_ids": lambda: embedding})
    model = imdb.build(options, types.SimpleNamespace(features=features), 0)
    rng = np.random.default_rng(0)
    shape = (BATCH, LENGTH)
    inputs = {
        "token_ids": rng.integers(2, 20_000, shape, "int32"),
        "word_ids": rng.integers(2, WORDS, shape, "int32"),
        "padding_mask": np.ones(shape, "bool"),
    }
    inputs = {name: inputs[name] for name in model.input}
    targets = {"logits": rng.integers(0, 2, BATCH)}
    return lambda: model.train_on_batch(inputs, targets)


def rows(outcomes):
    table = []
    for case, outcome in outcomes.items():
        section, *fields = case.split(":")
        if section != "tasks":
            continue
        graphs, none = (quantity(outcome, x) for x in ("graphs", "none"))
        table.append(
            {
                "mode": fields[0],
                "hidden_dim": fields[1],
                "with_graphs": _milliseconds(graphs),
                "without": _milliseconds(none),
                "ratio": ratio(graphs, none),
            }
        )
    return table


def _milliseconds(seconds):
    return 1000 * seconds if isinstance(seconds, float) else seconds
