"""From queries and keys to graphs, beside softmax of the same shape."""

from benchmarks.measuring import time_alternately
from benchmarks.tables import quantity
from benchmarks.tables import ratio

LAYERS, HEADS, KEY_DIM, WIDTH = 3, 8, 256, 512
KINDS = ("graph", "softmax", "attention")
TITLE = (
    f"Scores: L = {LAYERS}, K = {HEADS}, C = {KEY_DIM}, B = 1, ms; graph and "
    "causal softmax from queries and keys, MultiHeadAttention (three layers, "
    f"with query and key projections) from {WIDTH} features"
)


def cases(options):
    return [
        f"{length}:{precision}"
        for length in options.score_lengths
        for precision in options.precisions
    ]


def measure(fields, options):
    """Seconds of the three kinds of scores, timed in turn; CPU seconds too.

    Args:
        fields: T, precision.
        options: the benchmark's.
    """
    import keras
    import tensorflow as tf

    length, precision = fields
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    dtype = keras.config.dtype_policy().compute_dtype
    shape = (1, LAYERS, HEADS, int(length), KEY_DIM)
    queries, keys = (
        tf.cast(tf.random.stateless_normal(shape, (0, seed)), dtype)
        for seed in range(2)
    )
    features = tf.random.stateless_normal((1, int(length), WIDTH), (0, 2))
    features = tf.cast(features, dtype)
    graph, softmax = tf.function(graph_scores), tf.function(softmax_scores)
    attention = tf.function(attention_scores(features))
    functions = {
        "graph": lambda: graph(queries, keys),
        "softmax": lambda: softmax(queries, keys),
        "attention": lambda: attention(features),
    }
    results = time_alternately(functions, options.calls)
    return {
        **{kind: result["seconds"] for kind, result in results.items()},
        **{f"{kind}_cpu": x["cpu_seconds"] for kind, x in results.items()},
    }


def graph_scores(queries, keys):
    """Eq. 1: `(B, L, K, T, T)`."""
    from keras import ops

    from glomo_keras.ops.streaming import materialize

    thresholds = ops.zeros_like(queries[..., 0])
    return materialize(
        {"queries": queries, "past_keys": keys, "thresholds": thresholds}
    )


def softmax_scores(queries, keys):
    """Causal softmax, as one writes it: `(B, L, K, T, T)`."""
    from keras import ops

    units = ops.arange(queries.shape[-2])
    earlier = ops.expand_dims(units, 0) < ops.expand_dims(units, 1)
    scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2))
    scores = scores / KEY_DIM**0.5
    return ops.softmax(ops.where(earlier, scores, -1e9), axis=-1)


def attention_scores(features):
    """A function that gives the scores of `MultiHeadAttention` layers."""
    import keras

    layers = [
        keras.layers.MultiHeadAttention(HEADS, KEY_DIM) for _ in range(LAYERS)
    ]
    for layer in layers:
        layer.build(features.shape, features.shape)

    def scores(features):
        return [
            layer(
                features,
                features,
                use_causal_mask=True,
                return_attention_scores=True,
            )[1]
            for layer in layers
        ]

    return scores


def rows(outcomes):
    table = []
    for case, outcome in outcomes.items():
        section, *fields = case.split(":")
        if section != "scores":
            continue
        row = dict(zip(("T", "precision"), fields, strict=True))
        for kind in KINDS:
            seconds = quantity(outcome, kind)
            row[f"{kind}_ms"] = ratio(seconds, 1e-3)
        for kind in KINDS[1:]:
            row[f"graph/{kind}"] = ratio(
                quantity(outcome, "graph"), quantity(outcome, kind)
            )
        # Of a busy machine only the processor's time says something.
        row["graph/softmax_cpu"] = ratio(
            quantity(outcome, "graph_cpu"), quantity(outcome, "softmax_cpu")
        )
        table.append(row)
    return table
