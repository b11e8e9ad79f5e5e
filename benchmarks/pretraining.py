"""Steps of pretraining: the package, and the same model in stock layers."""

from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls

CONFIGS = ("small", "base", "base_100k")
PRECISIONS = ("float32", "mixed_bfloat16")
CASES = {
    f"{model}:{config}:{precision}": {
        "model": model,
        "config": config,
        "precision": precision,
    }
    for config in CONFIGS
    for precision in PRECISIONS
    for model in ("package", "plain", "plain_xla")
    if model != "plain_xla" or (precision == "float32" and config == "base")
}


def sizes_of(config):
    """Returns the sizes of a configuration of `recipes.pretrain.text`.

    Twenty positions are decoded. `base_100k` is `base` with 100,000 words, in
    which all positions are: a case of memory.
    """
    from recipes.pretrain import text_options

    name = config.removesuffix("_100k")
    recipe = text_options.CONFIGS[name]
    names = ("embedding_dim", "num_heads", "key_dim", "num_conv_layers")
    sizes = {
        **{name: recipe[name] for name in names},
        "length": recipe["max_length"],
        "vocabulary_size": 20_000,
        "batch_size": {"small": 32, "base": 16}[name],
        "num_positions": 20,
    }
    if config == "base_100k":
        sizes |= {
            "vocabulary_size": 100_000,
            "batch_size": 8,
            "num_positions": None,
        }
    return sizes


def measure(model, config, precision, calls, eager=False, **changes):
    """Measures a training step.

    Args:
        model: `"package"`, `"plain"` or `"plain_xla"`, compiled by XLA.
        config: one of `CONFIGS`.
        precision: name of a dtype policy.
        calls: of `time_calls`.
        eager: boolean, whether the step runs operation by operation. Defaults
            to `False`.
        **changes: sizes to take instead of those of `sizes_of(config)`.

    Returns:
        Dict of numbers.
    """
    import keras

    sizes = {**sizes_of(config), **changes}
    batch_size, length = sizes.pop("batch_size"), sizes.pop("length")
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    made = build(model, sizes)
    made.run_eagerly = eager
    windows = FixedBatch(sizes["vocabulary_size"], batch_size, length)
    result = time_calls(training_step(made, windows), calls)
    return {
        **result,
        "tokens_per_second": batch_size * length / result["seconds"],
        "peak_megabytes": peak_megabytes(),
        "parameters": count_parameters(made),
    }


def build(model, sizes):
    """Returns the compiled model of a case."""
    import glomo_keras as gk
    from examples.glomo_in_one_file import Pretrainer

    sizes = dict(sizes)
    vocabulary_size = sizes.pop("vocabulary_size")
    if model == "package":
        num_positions = sizes.pop("num_positions")
        made = gk.ContextPretrainer(
            gk.GraphPredictor(vocabulary_size, **sizes),
            num_positions=num_positions,
            seed=0,
        )
        made.compile(optimizer="adam")
        return made
    made = Pretrainer(vocabulary_size, **sizes)
    made.compile(optimizer="adam", jit_compile=model == "plain_xla")
    return made


def training_step(model, windows):
    """Returns a function that does what `fit` does for each batch."""
    from glomo_keras import data

    batches = iter(data.as_dataset(windows))
    next_batch = next(batches)
    model({name: value[:1, :8] for name, value in next_batch.items()})
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()

    def step():
        logs = model.train_function(batches)
        if not float(logs["loss"]) < float("inf"):
            raise FloatingPointError(f"loss={float(logs['loss'])}")

    return step


class FixedBatch:
    """The same windows at every step, without padding.

    Tokens are drawn by Zipf's law, like those of a text.

    Args:
        vocabulary_size: int, V.
        batch_size: int, B.
        length: int, T.
    """

    def __init__(self, vocabulary_size, batch_size, length):
        import numpy as np

        self.batch_size = batch_size
        ranks = np.arange(1, vocabulary_size + 1)
        ids = np.random.default_rng(0).choice(
            vocabulary_size,
            (batch_size, length),
            p=1 / ranks / np.sum(1 / ranks),
        )
        self.windows = {
            "token_ids": ids.astype("int32"),
            "padding_mask": np.ones(ids.shape, dtype="bool"),
        }

    def batch(self, step, rows=slice(None)):
        return {name: value[rows] for name, value in self.windows.items()}


def count_parameters(model):
    """Returns the numbers in the weights, without states of generators."""
    return sum(weight.value.shape.num_elements() for weight in model.weights)
