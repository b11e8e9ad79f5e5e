"""What the package does, beside other ways to compute the same.

Each case times ways to compute one part of a training step (forward and
backward) or of inference at the sizes of `base` (d = 512, C = 256, K = 8,
L = 3, T = 200) with B = 8, one call after the other in turn. The first way
named is the package's.
"""

from recipes.benchmark.measuring import time_alternately
from recipes.benchmark.tables import quantity
from recipes.benchmark.tables import ratio

BATCH, LENGTH, WIDTH, KEY_DIM, HEADS, LAYERS = 8, 200, 512, 256, 8, 3
VOCABULARY, ROWS, TAPS = 20_000, 960, 3
TITLE = (
    "Alternatives: CPU ms of the package's way, named first, and of others, "
    "and the ratio (above 1: the package's is faster)"
)


def tensor(*shape, seed=0):
    import keras
    import tensorflow as tf

    values = 0.05 * tf.random.stateless_normal(shape, (0, seed))
    return tf.cast(values, keras.config.dtype_policy().compute_dtype)


def units():
    return tensor(BATCH, LENGTH, WIDTH)


def convolution():
    """A causal convolution; as one product of windows; as one a tap."""
    from keras import ops

    def windows(x):
        x = ops.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        return [x[:, tap : tap + LENGTH] for tap in range(TAPS)]

    def conv(x, kernel):
        x = ops.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        return ops.conv(x, kernel, padding="valid")

    def one_product(x, kernel):
        x = ops.concatenate(windows(x), axis=-1)
        return ops.matmul(x, ops.reshape(kernel, (TAPS * WIDTH, -1)))

    def product_a_tap(x, kernel):
        parts = zip(windows(x), ops.unstack(kernel, axis=0), strict=True)
        return sum(ops.matmul(part, tap) for part, tap in parts)

    return [conv, one_product, product_a_tap], [
        units(),
        tensor(TAPS, WIDTH, WIDTH, seed=1),
    ]


def first_convolutions():
    """Those of key and query apart; as one with twice the filters."""
    from keras import ops

    conv = convolution()[0][0]

    def apart(x, key, query):
        return ops.concatenate([conv(x, key), conv(x, query)], axis=-1)

    def together(x, key, query):
        return conv(x, ops.concatenate([key, query], axis=-1))

    kernels = [tensor(TAPS, WIDTH, WIDTH, seed=seed) for seed in (1, 2)]
    return [apart, together], [units(), *kernels]


def directions():
    """A product for each direction; both as one batched product."""
    from keras import ops

    def apart(x, forward, backward):
        return ops.stack([ops.matmul(x, w) for w in (forward, backward)])

    def batched(x, forward, backward):
        x = ops.reshape(ops.stack([x, x]), (2, -1, WIDTH))
        y = ops.matmul(x, ops.stack([forward, backward]))
        return ops.reshape(y, (2, BATCH, LENGTH, -1))

    size = 3 * WIDTH
    return [apart, batched], [
        units(),
        tensor(WIDTH, size, seed=1),
        tensor(WIDTH, size, seed=2),
    ]


def layers():
    """Layers of a graph's queries by unstack; by slices."""
    from keras import ops

    def unstack(queries):
        return sum(ops.square(x) for x in ops.unstack(queries, axis=1))

    def slices(queries):
        return sum(ops.square(queries[:, i]) for i in range(LAYERS))

    shape = (BATCH, LAYERS, HEADS, LENGTH, KEY_DIM)
    return [unstack, slices], [tensor(*shape)]


def thresholds():
    """From the features, a column a head; from the queries."""
    from keras import ops

    def columns(x, kernel, threshold):
        heads = ops.reshape(kernel, (WIDTH, LAYERS, HEADS, KEY_DIM))
        weights = ops.einsum("dlkc,lc->dlk", heads, threshold)
        values = ops.matmul(x, ops.reshape(weights, (WIDTH, -1)))
        return ops.sum(ops.matmul(x, kernel)) + values

    def queries(x, kernel, threshold):
        made = ops.matmul(x, kernel)
        heads = (BATCH, LENGTH, LAYERS, HEADS, KEY_DIM)
        values = ops.einsum(
            "btlkc,lc->btlk", ops.reshape(made, heads), threshold
        )
        return ops.sum(made) + ops.reshape(values, (BATCH, LENGTH, -1))

    return [columns, queries], [
        units(),
        tensor(WIDTH, LAYERS * HEADS * KEY_DIM, seed=1),
        tensor(LAYERS, KEY_DIM, seed=2),
    ]


def weighted_sum():
    """Divided after the sum; before it; in two causal halves; in float32."""
    import functools

    from keras import ops

    from glomo_keras.ops import graphs
    from glomo_keras.ops import weighted_sum as op

    def factors(queries, keys):
        zeros = ops.zeros_like(queries[..., 0])
        return {"queries": queries, "keys": keys, "thresholds": zeros}

    def after(queries, keys, features):
        return op.weighted_sum(factors(queries, keys), features)

    def before(queries, keys, features):
        graph = graphs.materialize(
            factors(queries, keys),
            direction="forward",
            activation="squared_relu",
        )
        values = ops.cast(op.split_heads(features, HEADS), graph.dtype)
        return op.join_heads(ops.matmul(graph, values))

    def causal_halves(queries, keys, features):
        values = op.split_heads(features, HEADS)
        rows = functools.partial(
            op.sum_over_edges,
            padding_mask=None,
            direction="forward",
            activation="squared_relu",
        )
        graph, half = factors(queries, keys), LENGTH // 2
        first = {name: x[:, :, :half] for name, x in graph.items()}
        sums = [
            rows(None, None, first, values[:, :, :half]),
            rows(ops.arange(half, LENGTH), None, graph, values),
        ]
        return op.join_heads(ops.concatenate(sums, axis=2))

    def float32_products(*arguments):
        return after(*(ops.cast(x, "float32") for x in arguments))

    heads = (BATCH, HEADS, LENGTH, KEY_DIM)
    return [after, before, causal_halves, float32_products], [
        tensor(*heads),
        tensor(*heads, seed=1),
        units(),
    ]


def gru_gates():
    """Gates by split; by slices."""
    from keras import ops

    def cell(gates):
        def call(x, state, kernel, recurrent):
            x = gates(ops.matmul(x, kernel))
            h = gates(ops.matmul(state, recurrent))
            update = ops.sigmoid(x[0] + h[0])
            new = ops.tanh(x[2] + ops.sigmoid(x[1] + h[1]) * h[2])
            return update * state + (1 - update) * new

        return call

    def split(values):
        return ops.split(values, 3, axis=-1)

    def slices(values):
        return [values[..., i * WIDTH : (i + 1) * WIDTH] for i in range(3)]

    ways = {"split": cell(split), "slices": cell(slices)}
    return ways, [
        tensor(BATCH, LENGTH, 2 * WIDTH),
        units(),
        tensor(2 * WIDTH, 3 * WIDTH, seed=1),
        tensor(WIDTH, 3 * WIDTH, seed=2),
    ]


def cross_entropy():
    """In chunks, gradient with the value; full logits; from 4,000 words."""
    import keras
    from keras import ops

    from glomo_keras.ops.cross_entropy import tied_cross_entropy

    targets = ops.arange(ROWS) * 7
    weights = ops.ones((ROWS,))
    seed = keras.random.SeedGenerator(0)

    def chunks(states, embeddings):
        return tied_cross_entropy(states, embeddings, targets, weights)[0]

    def full_logits(states, embeddings):
        logits = ops.matmul(states, ops.transpose(embeddings))
        losses = keras.losses.sparse_categorical_crossentropy(
            targets, ops.cast(logits, "float32"), from_logits=True
        )
        return ops.sum(losses)

    def candidates(states, embeddings):
        return tied_cross_entropy(
            states, embeddings, targets, weights, 4000, seed
        )[0]

    return [chunks, full_logits, candidates], [
        tensor(ROWS, WIDTH),
        tensor(VOCABULARY, WIDTH, seed=1),
    ]


def decoded_rows():
    """The last layer's sum at 20 positions; at all."""
    from keras import ops

    from glomo_keras.ops.weighted_sum import weighted_sum

    positions = ops.arange(20) * 9

    def graph(x, kernel, keys, rows):
        queries = ops.reshape(
            ops.matmul(x, kernel), (BATCH, -1, HEADS, KEY_DIM)
        )
        queries = ops.transpose(queries, (0, 2, 1, 3))
        made = {
            "queries": queries,
            "keys": keys,
            "thresholds": ops.zeros_like(queries[..., 0]),
        }
        return made if rows is None else {**made, "positions": rows}

    def decoded(x, kernel, keys, features):
        rows = ops.take(x, positions, axis=1)
        return weighted_sum(graph(rows, kernel, keys, positions), features)

    def everywhere(x, kernel, keys, features):
        total = weighted_sum(graph(x, kernel, keys, None), features)
        return ops.take(total, positions, axis=1)

    return [decoded, everywhere], [
        units(),
        tensor(WIDTH, HEADS * KEY_DIM, seed=1),
        tensor(BATCH, HEADS, LENGTH, KEY_DIM, seed=2),
        tensor(BATCH, LENGTH, WIDTH, seed=3),
    ]


def inference_normalization():
    """Batch normalisation after the convolution; in its kernel. No gradient."""
    import keras
    from keras import ops

    from glomo_keras.layers import MaskedKeyQueryConv

    layer = MaskedKeyQueryConv(WIDTH)
    layer.build((None, None, WIDTH))
    conv = convolution()[0][0]

    def after(x):
        return ops.stack(layer(x, training=False))

    def in_kernel(x):
        stacks = []
        for convs, norms in (
            (layer.key_convs, layer.key_norms),
            (layer.query_convs, layer.query_norms),
        ):
            y = x
            for part, norm in zip(convs, norms, strict=True):
                scale = norm.gamma * ops.rsqrt(
                    norm.moving_variance + norm.epsilon
                )
                bias = norm.beta + scale * (part.bias - norm.moving_mean)
                kernel = ops.cast(part.kernel * scale, y.dtype)
                y = conv(y, kernel) + ops.cast(bias, y.dtype)
                y = keras.activations.relu(y)
            stacks.append(y)
        return ops.stack(stacks)

    return [after, in_kernel], [units()]


PARTS = {
    part.__name__: part
    for part in (
        convolution,
        first_convolutions,
        directions,
        layers,
        thresholds,
        weighted_sum,
        decoded_rows,
        gru_gates,
        cross_entropy,
        inference_normalization,
    )
}
INFERENCE = ("inference_normalization",)


def cases(options):
    return [
        f"{part}:{precision}"
        for part in PARTS
        for precision in options.precisions
    ]


def measure(fields, options):
    """Seconds of each way to compute a part, in graph mode and under XLA.

    Args:
        fields: name of the part, precision.
        options: the benchmark's.
    """
    import keras

    part, precision = fields
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    ways, arguments = PARTS[part]()
    if isinstance(ways, list):
        ways = {way.__name__: way for way in ways}
    compiled = {
        name: compile_way(way, arguments, part not in INFERENCE, False)
        for name, way in ways.items()
    }
    first = next(iter(ways))
    compiled[f"{first}, XLA"] = compile_way(
        ways[first], arguments, part not in INFERENCE, True
    )
    results = time_alternately(compiled, options.calls)
    return {name: result["cpu_seconds"] for name, result in results.items()}


def compile_way(way, arguments, backward, jit):
    """A function of nothing that runs the way, and its gradient."""
    import tensorflow as tf

    @tf.function(autograph=False, jit_compile=jit)
    def run(*arguments):
        if not backward:
            return way(*arguments)
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            outputs = tf.cast(way(*arguments), tf.float32)
            total = tf.reduce_sum(tf.square(outputs))
        return tape.gradient(total, arguments)

    return lambda: run(*arguments)


def rows(outcomes):
    table = []
    for case, outcome in outcomes.items():
        section, *fields = case.split(":")
        if section != "alternatives" or "failed" in outcome:
            continue
        part, precision = fields
        own = next(iter(outcome))
        table += [
            {
                "part": part,
                "precision": precision,
                "way": way,
                "cpu_ms": ratio(quantity(outcome, way), 1e-3),
                "of the package's": ratio(
                    quantity(outcome, way), quantity(outcome, own)
                ),
            }
            for way in outcome
        ]
    return table
