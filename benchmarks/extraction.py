"""Graphs of texts in inference, from token ids."""

from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls

CASES = {
    f"{form}:{length}:{precision}": {
        "form": form,
        "length": length,
        "precision": precision,
    }
    for length in (100, 200, 400)
    for precision in ("float32", "mixed_bfloat16")
    for form in ("factored", "materialised")
}


def measure(form, length, precision, calls, batch_size=8, **changes):
    """Measures a `GraphPredictor` of the size `base` in a `tf.function`.

    Args:
        form: `"factored"` or `"materialised"`.
        length: int, T.
        precision: name of a dtype policy.
        calls: of `time_calls`.
        batch_size: int, B. Defaults to `8`.
        **changes: sizes to take instead of those of `base`.

    Returns:
        Dict of numbers.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    import glomo_keras as gk
    from benchmarks.pretraining import sizes_of

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    sizes = {**sizes_of("base"), **changes}
    for name in ("batch_size", "length", "num_positions"):
        del sizes[name]
    predictor = gk.GraphPredictor(**sizes)
    graphs_of = predictor.factored() if form == "factored" else predictor
    run = tf.function(lambda inputs: graphs_of(inputs, training=False))
    shape = (batch_size, length)
    ids = np.random.default_rng(0).integers(2, predictor.vocabulary_size, shape)
    inputs = {
        "token_ids": tf.constant(ids, "int32"),
        "padding_mask": tf.ones(shape, "bool"),
    }
    result = time_calls(lambda: run(inputs), calls)
    return {
        **result,
        "tokens_per_second": ids.size / result["seconds"],
        "peak_megabytes": peak_megabytes(),
    }
