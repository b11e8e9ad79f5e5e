"""From token ids to transferred features: streaming and materialised graphs.

*Materialised* graphs, too, are applied layer by layer where texts are long.
*Products* are the formula as it is written: the products of layers and their
mixture as T x T matrices, which then multiply the features.
"""

from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls

CASES = {
    f"{form}:{length}:{precision}": {
        "form": form,
        "length": length,
        "precision": precision,
    }
    for length in (512, 1024, 2048, 4096)
    for precision in ("float32", "mixed_bfloat16")
    for form in ("factored", "materialised", "products")
    if precision == "float32" or length in (512, 2048)
    # Beyond, they fill the memory.
    if form != "products" or length <= 2048
}


def measure(form, length, precision, calls, width=128, key_dim=64):
    """Measures graphs of one text and two conditioned mixtures.

    Args:
        form: `"factored"`, `"materialised"` or `"products"`.
        length: int, T.
        precision: name of a dtype policy.
        calls: of `time_calls`.
        width: int, d. Defaults to `128`.
        key_dim: int, C. Defaults to `64`.

    Returns:
        Dict of numbers; `added_megabytes` is what the calls added to the
        highest memory of the process.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    import glomo_keras as gk

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    predictor = gk.GraphPredictor(
        1000, embedding_dim=width, num_heads=8, key_dim=key_dim
    )
    graphs_of = predictor.factored() if form == "factored" else predictor
    transfer = gk.layers.GraphTransfer(
        num_mixtures=2,
        conditioned=True,
        # Mixed as short texts are, by products.
        max_length=1 if form == "products" else None,
    )
    rng = np.random.default_rng(0)
    ids = rng.integers(2, predictor.vocabulary_size, (1, length))
    inputs = {
        "token_ids": tf.constant(ids, "int32"),
        "padding_mask": tf.ones(ids.shape, "bool"),
    }
    features = tf.constant(rng.normal(size=(1, length, width)), "float32")

    def transferred(features, inputs):
        return transfer(features, graphs_of(inputs, training=False))

    start = slice(8)  # a first call, eager, builds the weights
    transferred(features[:, start], {k: x[:, start] for k, x in inputs.items()})
    before = peak_megabytes()
    run = tf.function(transferred)
    result = time_calls(lambda: run(features, inputs), calls)
    peak = peak_megabytes()
    return {
        **result,
        "peak_megabytes": peak,
        "added_megabytes": peak - before,
    }
