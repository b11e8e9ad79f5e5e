"""The quantities that the project set itself, and what was measured."""

import dataclasses

from benchmarks import pipeline
from benchmarks import pretraining
from benchmarks.tables import quantity
from benchmarks.tables import ratio

TITLE = "Quantity vs target"
SPEEDUPS = {"float32": 1.25, "mixed_bfloat16": 1.8}
MEMORY = 0.6
SCORES = 1.1
SCORE_LENGTHS = (512, 1024, 2048)
TRANSFER = 2.0
GROWTH = 3.0
COLD_SECONDS = 10
WARM_MS = 10
NOT_MEASURED = "not measured"


def rows(outcomes):
    """One row per target.

    Args:
        outcomes: dict of all cases.

    Returns:
        List of dicts `quantity`, `value`, `target`, `met`.
    """
    return [
        *_speed_rows(outcomes),
        *_memory_rows(outcomes),
        *_score_rows(outcomes),
        *_transfer_rows(outcomes),
        *_pipeline_rows(outcomes),
        *_sentence_rows(outcomes),
    ]


def _row(name, value, at_least=None, at_most=None):
    if at_least is None:
        target, met = f"<= {at_most}", lambda: value <= at_most
    else:
        target, met = f">= {at_least}", lambda: value >= at_least
    measured = isinstance(value, float)
    return {
        "quantity": name,
        "value": value if measured else value or NOT_MEASURED,
        "target": target,
        "met": ("yes" if met() else "NO") if measured else "",
    }


def _find(outcomes, **wanted):
    """The case of the package that has these attributes, or None."""
    for case, *_ in pretraining.settings(outcomes):
        if all(getattr(case, k) == v for k, v in wanted.items()):
            return case
    return None


def _speed_rows(outcomes):
    for precision, least in SPEEDUPS.items():
        case = _find(
            outcomes,
            config="base",
            vocabulary_size=20_000,
            positions="sampled",
            precision=precision,
        )
        yield _row(
            f"base, V=20k, sampled: {precision} over the plain model in "
            "float32, tokens/s",
            case and _speedup(case, outcomes),
            at_least=least,
        )


def _speedup(case, outcomes):
    plain = dataclasses.replace(case, precision="float32")
    return ratio(
        quantity(outcomes[f"pretrain:{case}"], "tokens_per_second"),
        pretraining.plain_speed(plain, outcomes),
    )


def _memory_rows(outcomes):
    for precision in SPEEDUPS:
        case = _find(
            outcomes,
            config="base",
            vocabulary_size=100_000,
            positions="all",
            precision=precision,
            batch_size=8,
        )
        plain = case and dataclasses.replace(case, model="plain")
        values = [
            quantity(outcomes.get(f"pretrain:{x}"), "peak_megabytes")
            for x in (case, plain)
        ]
        yield _row(
            f"base, V=100k, all positions, B=8, {precision}: peak memory "
            "over the plain model's",
            ratio(*values),
            at_most=MEMORY,
        )


def _score_rows(outcomes):
    for precision in SPEEDUPS:
        for length in SCORE_LENGTHS:
            outcome = outcomes.get(f"scores:{length}:{precision}")
            yield _row(
                f"scores to graphs over softmax, T={length}, {precision}, time",
                ratio(quantity(outcome, "graph"), quantity(outcome, "softmax")),
                at_most=SCORES,
            )


def _transfer_rows(outcomes):
    def measured(form, length, name):
        outcome = outcomes.get(f"transfer:{form}:{length}:float32")
        return quantity(outcome, name)

    yield _row(
        "transfer, T=2048: speed of streaming over products of graphs",
        ratio(
            measured("products", 2048, "seconds"),
            measured("factored", 2048, "seconds"),
        ),
        at_least=TRANSFER,
    )
    memory = [
        measured("factored", length, "added_megabytes")
        for length in (1024, 2048, 4096)
    ]
    growth = ""
    if all(isinstance(x, float) for x in memory):
        growth = ratio(memory[2] - memory[1], memory[1] - memory[0])
    yield _row(
        "transfer, streaming: MB from T=2048 to 4096 over MB from 1024 to "
        "2048 (with T: 2, with T squared: 4)",
        growth,
        at_most=GROWTH,
    )


def _pipeline_rows(outcomes):
    for row in pipeline.rows(outcomes):
        yield _row(
            f"{row['config']}: pipeline over pretraining, tokens/s",
            row["ratio"],
            at_least=1.0,
        )


def _sentence_rows(outcomes):
    def seconds(way):
        return quantity(outcomes.get(f"sentence:{way}"), "seconds")

    yield _row(
        "sentence to graphs from a cold start of Python, s",
        seconds("cold"),
        at_most=COLD_SECONDS,
    )
    yield _row(
        "sentence to graphs, warm, ms",
        ratio(seconds("predict_on_batch"), 1e-3),
        at_most=WARM_MS,
    )
