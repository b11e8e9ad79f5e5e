"""Graphs of texts in inference, from token ids."""

from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls
from benchmarks.tables import quantity

FORMS = ("factored", "materialised")
BATCH_SIZE = 8
TITLE = f"Graph extraction: tokens/s in inference, V = 20k, B = {BATCH_SIZE}"


def cases(options):
    """Of the largest configuration."""
    return [
        f"{options.configs[-1]}:{form}:{length}:{precision}"
        for length in options.extraction_lengths
        for precision in options.precisions
        for form in FORMS
    ]


def measure(fields, options):
    """Tokens/s of a `GraphPredictor` in a `tf.function`.

    Args:
        fields: configuration, form of the graphs, T, precision.
        options: the benchmark's.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    import glomo_keras as gk
    from benchmarks.pretraining import SIZES
    from recipes.pretrain import text_options

    name, form, length, precision = fields
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    config = text_options.CONFIGS[name]
    predictor = gk.GraphPredictor(
        config["vocabulary_size"], **{name: config[name] for name in SIZES}
    )
    graphs_of = predictor.factored() if form == "factored" else predictor
    run = tf.function(lambda inputs: graphs_of(inputs, training=False))
    shape = (BATCH_SIZE, int(length))
    ids = np.random.default_rng(0).integers(2, predictor.vocabulary_size, shape)
    inputs = {
        "token_ids": tf.constant(ids, "int32"),
        "padding_mask": tf.ones(shape, "bool"),
    }
    result = time_calls(lambda: run(inputs), options.calls)
    return {
        "tokens_per_second": ids.size / result["seconds"],
        **result,
        "peak_megabytes": peak_megabytes(),
    }


def rows(outcomes):
    table = []
    for case, outcome in outcomes.items():
        section, *fields = case.split(":")
        if section != "extraction":
            continue
        names = ("config", "graphs", "T", "precision")
        table.append(
            {
                **dict(zip(names, fields, strict=True)),
                "tokens/s": quantity(outcome, "tokens_per_second"),
                "cpu_s": quantity(outcome, "cpu_seconds"),
                "peak_mb": quantity(outcome, "peak_megabytes"),
            }
        )
    return table
