"""Steps of pretraining: the package beside the plain model."""

import dataclasses

from benchmarks.flops import training_flops
from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls
from benchmarks.tables import highest
from benchmarks.tables import quantity
from benchmarks.tables import ratio

MODELS = ("package", "plain", "plain_jit")
CONFIGS = ("small", "base")
LARGE_VOCABULARY = 20_000
POSITIONS = {"sampled": 20, "all": None}
SIZES = (
    "embedding_dim",
    "num_heads",
    "key_dim",
    "num_conv_layers",
)
TITLE = (
    "Pretraining: tokens/s, CPU-s a step and peak MB of the package and of "
    "the plain model"
)
UTILISATION_TITLE = (
    "Utilisation: GFLOP a step that the model needs (package: last graph "
    "layer at decoded positions only), of the GEMM ceiling of its precision"
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement.

    Args:
        model: `"package"`, `"plain"` or `"plain_jit"` (under XLA).
        config: `"small"` or `"base"`, of `recipes.pretrain.text`.
        vocabulary_size: integer, V.
        positions: `"sampled"` (20 of them) or `"all"`.
        precision: name of a dtype policy.
        batch_size: integer, B.
    """

    model: str
    config: str
    vocabulary_size: int
    positions: str
    precision: str
    batch_size: int

    @classmethod
    def parse(cls, fields, options):
        """A case from strings; the batch may be left out."""
        model, config, vocabulary_size, positions, precision, *batch = fields
        for name, value, known in (
            ("model", model, MODELS),
            ("config", config, CONFIGS),
            ("positions", positions, tuple(POSITIONS)),
        ):
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}. "
                    f"Received: {name}={value!r}"
                )
        size = batch[0] if batch else batch_size(config, positions, options)
        return cls(
            model, config, int(vocabulary_size), positions, precision, int(size)
        )

    def __str__(self):
        return ":".join(map(str, dataclasses.astuple(self)))


def batch_size(config, positions, options):
    """B: that of the options, half of it if all positions are decoded."""
    size = getattr(options, f"{config}_batch")
    return size if positions == "sampled" else max(size // 2, 1)


def cases(options):
    """The plain model under XLA runs in float32.

    But not where V > 20k and all positions are decoded: that is a case of
    memory, and compared in the model's default mode.
    """
    return [
        str(
            Case(
                model,
                config,
                vocabulary_size,
                positions,
                precision,
                batch_size(config, positions, options),
            )
        )
        for config in options.configs
        for vocabulary_size in options.vocabulary_sizes
        for positions in options.positions
        for precision in options.precisions
        for model in MODELS
        if model != "plain_jit"
        or (
            precision == "float32"
            and (positions == "sampled" or vocabulary_size <= LARGE_VOCABULARY)
        )
    ]


def measure(fields, options):
    """Seconds and memory of one training step.

    Args:
        fields: list of strings, those of `Case` in their order.
        options: the benchmark's.

    Returns:
        Dict of numbers.
    """
    import keras

    from recipes.pretrain import text_options

    case = Case.parse(fields, options)
    config = text_options.CONFIGS[case.config]
    sizes = {name: config[name] for name in SIZES}
    length = options.length or config["max_length"]
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(case.precision)
    model = build(case, sizes)
    result = time_calls(training_step(model, case, length), options.calls)
    flops = training_flops(
        vocabulary_size=case.vocabulary_size,
        batch_size=case.batch_size,
        length=length,
        num_positions=POSITIONS[case.positions],
        trimmed=case.model == "package",
        **sizes,
    )
    return {
        "tokens_per_second": case.batch_size * length / result["seconds"],
        **result,
        "peak_megabytes": peak_megabytes(),
        "length": length,
        "gflop": flops / 1e9,
        "parameters": count_parameters(model),
        "jit_compile": bool(model.jit_compile),
    }


def build(case, sizes):
    """The compiled model of a case."""
    import glomo_keras as gk
    from examples.glomo_in_one_file import Pretrainer

    positions = {"num_positions": POSITIONS[case.positions], "seed": 0}
    if case.model == "package":
        predictor = gk.GraphPredictor(case.vocabulary_size, **sizes)
        model = gk.ContextPretrainer(predictor, **positions)
        model.compile(optimizer="adam")
        return model
    model = Pretrainer(case.vocabulary_size, **positions, **sizes)
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


def settings(outcomes):
    """For each measured case of the package: it, and its plain models."""
    for name in outcomes:
        section, *fields = name.split(":")
        if section != "pretrain" or fields[0] != "package":
            continue
        case = Case.parse(fields, None)
        yield (
            case,
            *(
                outcomes.get(f"pretrain:{dataclasses.replace(case, **change)}")
                for change in (
                    {},
                    {"model": "plain"},
                    {"model": "plain_jit"},
                )
            ),
        )


def plain_speed(case, outcomes):
    """Tokens/s of the plain model, graph mode or XLA, whichever is faster."""
    speeds = [
        quantity(
            outcomes.get(f"pretrain:{dataclasses.replace(case, model=model)}"),
            "tokens_per_second",
        )
        for model in ("plain", "plain_jit")
    ]
    return highest(*speeds)


def rows(outcomes):
    """`speedup`: over the faster plain model of the same precision;
    `over_float32`: over the faster plain model in float32."""
    table = []
    for case, package, plain, plain_jit in settings(outcomes):
        speed = quantity(package, "tokens_per_second")
        in_float32 = dataclasses.replace(case, precision="float32")
        table.append(
            {
                **_columns(case),
                "B": case.batch_size,
                "T": highest(
                    quantity(package, "length"), quantity(plain, "length")
                ),
                "package_xla": quantity(package, "jit_compile"),
                "package": speed,
                "plain": quantity(plain, "tokens_per_second"),
                "plain_jit": quantity(plain_jit, "tokens_per_second"),
                "speedup": ratio(speed, plain_speed(case, outcomes)),
                "over_float32": ratio(speed, plain_speed(in_float32, outcomes)),
                "package_cpu": quantity(package, "cpu_seconds"),
                "plain_cpu": quantity(plain, "cpu_seconds"),
                "package_mb": quantity(package, "peak_megabytes"),
                "plain_mb": quantity(plain, "peak_megabytes"),
                "memory": ratio(
                    quantity(package, "peak_megabytes"),
                    quantity(plain, "peak_megabytes"),
                ),
            }
        )
    return table


def utilisation_rows(outcomes):
    """What the steps reach of the GEMM ceiling of their precision."""
    table = []
    for case, package, plain, _ in settings(outcomes):
        ceiling = quantity(outcomes.get(f"ceiling:{case.precision}"), "gflops")
        row = _columns(case)
        for name, outcome in (("package", package), ("plain", plain)):
            work = quantity(outcome, "gflop")
            rate = ratio(work, quantity(outcome, "seconds"))
            row[f"{name}_gflop"] = work
            row[f"{name}_gflop/s"] = rate
            row[f"{name}_share"] = ratio(rate, ceiling)
        table.append(row)
    return table


def _columns(case):
    return {
        "config": case.config,
        "V": case.vocabulary_size,
        "positions": case.positions,
        "precision": case.precision,
    }
