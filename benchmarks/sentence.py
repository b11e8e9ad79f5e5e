"""A graph of one sentence: from a cold start of Python, and warm."""

import subprocess
import sys
import time

from benchmarks.measuring import time_calls
from benchmarks.tables import quantity
from benchmarks.tables import ratio

SENTENCE = "The cat sat on the mat because it was tired."
PRESET = "glomo_small_en"
WAYS = ("cold", "predict_on_batch", "call")
LEAST_CALLS = 100
TITLE = (
    f"From a sentence to graphs, {PRESET}: a fresh process from its start to "
    "its end (cold); warm, compiled (predict_on_batch) and run operation by "
    "operation (call)"
)


def cases(options):
    return WAYS


def measure(fields, options):
    """Seconds until the graphs of a sentence are there.

    Args:
        fields: one of `WAYS`.
        options: the benchmark's.
    """
    (way,) = fields
    if way == "cold":
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", __name__], check=True)
        return {"seconds": time.perf_counter() - start}
    tokenizer, predictor = load()
    graphs_of = predictor if way == "call" else predictor.predict_on_batch
    return time_calls(
        lambda: graphs_of(inputs_of(tokenizer)),
        max(options.calls, LEAST_CALLS),
    )


def load():
    import glomo_keras as gk
    from glomo_keras import data

    return (
        data.WordTokenizer.from_preset(PRESET),
        gk.GraphPredictor.from_preset(PRESET),
    )


def inputs_of(tokenizer):
    batch = tokenizer([SENTENCE])
    return {name: batch[name] for name in ("token_ids", "padding_mask")}


def rows(outcomes):
    return [
        {
            "way": case.removeprefix("sentence:"),
            "ms": ratio(quantity(outcome, "seconds"), 1e-3),
        }
        for case, outcome in outcomes.items()
        if case.startswith("sentence:")
    ]


if __name__ == "__main__":
    tokenizer, predictor = load()
    predictor.predict_on_batch(inputs_of(tokenizer))
