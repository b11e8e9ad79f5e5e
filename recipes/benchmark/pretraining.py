"""Steps of pretraining: the package beside the plain model."""

import dataclasses

from recipes.benchmark.measuring import peak_megabytes
from recipes.benchmark.measuring import time_calls

MODELS = ("package", "plain", "plain_jit")
BATCH_SIZES = {"small": 32, "base": 16}
POSITIONS = {"sampled": 20, "all": None}
SIZES = (
    "embedding_dim",
    "num_heads",
    "key_dim",
    "num_conv_layers",
)


@dataclasses.dataclass
class Case:
    """One measurement.

    Args:
        model: `"package"`, `"plain"` or `"plain_jit"` (XLA).
        config: `"small"` or `"base"`, of `recipes.pretrain_text`.
        vocabulary_size: V.
        positions: `"sampled"` (20 of them) or `"all"`.
        precision: name of a dtype policy.
        batch_size: B; that of `BATCH_SIZES` if None.
    """

    model: str
    config: str
    vocabulary_size: int
    positions: str
    precision: str
    batch_size: int | None = None

    def __post_init__(self):
        for name, known in (
            ("model", MODELS),
            ("config", BATCH_SIZES),
            ("positions", POSITIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {tuple(known)}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        self.vocabulary_size = int(self.vocabulary_size)
        self.batch_size = int(self.batch_size or BATCH_SIZES[self.config])


def measure(fields, options):
    """Seconds and memory of one training step.

    Args:
        fields: list of strings, those of `Case` in their order.
        options: has `calls`.

    Returns:
        Dict of numbers.
    """
    import keras

    from recipes.pretrain_text import CONFIGS

    case = Case(*fields)
    config = CONFIGS[case.config]
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(case.precision)
    model = build(case, {name: config[name] for name in SIZES})
    step = training_step(model, case, config["max_length"])
    result = time_calls(step, options.calls)
    tokens = case.batch_size * config["max_length"]
    return {
        "tokens_per_second": tokens / result["seconds"],
        **result,
        "peak_megabytes": peak_megabytes(),
        "parameters": count_parameters(model),
        "jit_compile": bool(model.jit_compile),
    }


def build(case, sizes):
    """The compiled model of a case."""
    import glomo_keras as gk
    from recipes.benchmark.plain_pretrainer import PlainPretrainer

    make = gk.ContextPretrainer if case.model == "package" else PlainPretrainer
    model = make(
        vocabulary_size=case.vocabulary_size,
        num_positions=POSITIONS[case.positions],
        seed=0,
        **sizes,
    )
    if case.model == "package":
        model.compile(optimizer="adam")
    else:
        model.compile(optimizer="adam", jit_compile=case.model == "plain_jit")
    return model


def training_step(model, case, length):
    """What `fit` runs for each batch, as a function without arguments."""
    from glomo_keras import data

    batches = iter(data.as_dataset(FixedBatch(case, length)))
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

    Tokens are drawn by Zipf's law, as those of a text.
    """

    def __init__(self, case, length):
        import numpy as np

        self.batch_size = case.batch_size
        ranks = np.arange(1, case.vocabulary_size + 1)
        ids = np.random.default_rng(0).choice(
            case.vocabulary_size,
            (case.batch_size, length),
            p=1 / ranks / np.sum(1 / ranks),
        )
        self.windows = {
            "token_ids": ids.astype("int32"),
            "padding_mask": np.ones(ids.shape, dtype="bool"),
        }

    def batch(self, step):
        return self.windows


def count_parameters(model):
    """Numbers in the model's weights, without the states of generators."""
    return sum(weight.value.shape.num_elements() for weight in model.weights)
