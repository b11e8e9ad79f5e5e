"""A training step of `recipes.tasks.imdb`, with graphs and without."""

from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls

OPTIONS = {
    "none": {"graph": "none"},
    "uniform": {"graph": "uniform"},
    "predicted": {"graph": "predicted"},
    "all_layers": {
        "graph": "predicted",
        "graph_layers": (),
        "products": False,
    },
    "products": {"graph": "predicted", "graph_layers": ()},
}
"""Options of the recipe; the others are its defaults."""
CASES = {name: {"name": name} for name in OPTIONS}


def measure(name, calls, batch_size=32, length=200, hidden_dim=150):
    """Measures a step on random words.

    Args:
        name: a key of `OPTIONS`.
        calls: of `time_calls`.
        batch_size, length, hidden_dim: ints. Default to `32`, `200`, `150`.

    Returns:
        Dict of numbers.
    """
    import types

    import keras
    import numpy as np

    from recipes.tasks import imdb
    from recipes.tasks.features import Features

    options = imdb.Options(
        out="unused", max_length=length, hidden_dim=hidden_dim, **OPTIONS[name]
    )
    num_words = 5000
    embedding = keras.layers.Embedding(num_words, 100, trainable=False)
    features = Features({}, {}, {"word_ids": lambda: embedding})
    model = imdb.build(options, types.SimpleNamespace(features=features), 0)
    rng = np.random.default_rng(0)
    shape = (batch_size, length)
    inputs = {
        "token_ids": rng.integers(2, 20_000, shape, "int32"),
        "word_ids": rng.integers(2, num_words, shape, "int32"),
        "padding_mask": np.ones(shape, "bool"),
    }
    inputs = {name: inputs[name] for name in model.input}
    targets = {"logits": rng.integers(0, 2, batch_size)}
    result = time_calls(lambda: model.train_on_batch(inputs, targets), calls)
    return {**result, "peak_megabytes": peak_megabytes()}
