"""From token ids to transferred features: streaming and materialised graphs.

*Materialised* graphs, too, are applied layer by layer where texts are long.
*Products* are what one would write from the formula: the products of layers
and their mixture as T x T matrices, which then multiply the features.
"""

from benchmarks.measuring import peak_megabytes
from benchmarks.measuring import time_calls
from benchmarks.tables import quantity
from benchmarks.tables import ratio

FORMS = ("factored", "materialised", "products")
HEADS, KEY_DIM, WIDTH, VOCABULARY = 8, 64, 128, 1000
BFLOAT16_LENGTHS = (512, 2048)
PRODUCTS_LENGTH = 2048
TITLE = (
    f"Transfer: L = 3, K = {HEADS}, C = {KEY_DIM}, d = {WIDTH}, two "
    "conditioned mixtures, B = 1; graphs streaming (factored), materialised, "
    "and multiplied with each other (products); MB that the call adds to the "
    "peak of its process"
)


def cases(options):
    """In float32; in bfloat16 at T = 512 and 2048 only.

    Products up to T = 2048: beyond, they fill the memory.
    """
    return [
        f"{form}:{length}:{precision}"
        for length in options.transfer_lengths
        for precision in options.precisions
        for form in FORMS
        if precision == "float32" or length in BFLOAT16_LENGTHS
        if form != "products" or length <= PRODUCTS_LENGTH
    ]


def measure(fields, options):
    """Seconds per text, and megabytes added to the peak memory.

    Args:
        fields: form of the graphs, T, precision.
        options: the benchmark's.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    import glomo_keras as gk

    form, length, precision = fields
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    predictor = gk.GraphPredictor(
        VOCABULARY, embedding_dim=WIDTH, num_heads=HEADS, key_dim=KEY_DIM
    )
    graphs_of = predictor.factored() if form == "factored" else predictor
    transfer = gk.layers.GraphTransfer(
        num_mixtures=2,
        conditioned=True,
        # Mixed as short texts are, by products.
        max_length=1 if form == "products" else None,
    )
    shape = (1, int(length))
    rng = np.random.default_rng(0)
    inputs = {
        "token_ids": tf.constant(rng.integers(2, VOCABULARY, shape), "int32"),
        "padding_mask": tf.ones(shape, "bool"),
    }
    features = tf.constant(rng.normal(size=(*shape, WIDTH)), "float32")

    def transferred(features, inputs):
        return transfer(features, graphs_of(inputs, training=False))

    start = slice(8)  # a first call, eager, builds the weights
    transferred(features[:, start], {k: x[:, start] for k, x in inputs.items()})
    before = peak_megabytes()
    run = tf.function(transferred)
    result = time_calls(lambda: run(features, inputs), options.calls)
    # The kernel's count is not exact: it may seem to fall.
    return {**result, "added_megabytes": max(peak_megabytes() - before, 0.0)}


def rows(outcomes):
    """`speedup`: of streaming over materialised graphs and over products."""
    table = []
    for case in outcomes:
        section, *fields = case.split(":")
        if section != "transfer" or fields[0] != "factored":
            continue
        row = {"T": fields[1], "precision": fields[2]}
        for form in FORMS:
            outcome = outcomes.get(case.replace("factored", form))
            row[f"{form}_s"] = quantity(outcome, "seconds")
            row[f"{form}_mb"] = quantity(outcome, "added_megabytes")
        row["speedup"] = ratio(row["materialised_s"], row["factored_s"])
        row["over_products"] = ratio(row["products_s"], row["factored_s"])
        row["memory"] = ratio(row["factored_mb"], row["materialised_mb"])
        table.append(row)
    return table
