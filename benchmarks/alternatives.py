"""What the package does, beside other ways to compute the same.

Each case times ways to compute one part of a training step (forward and
backward) or of inference at the sizes of `base` (d = 512, C = 256, K = 8,
L = 3, T = 200) with B = 8, one call after the other in turn. The first way
named is the package's.
"""

from benchmarks import graph_alternatives
from benchmarks import sizes
from benchmarks.measuring import time_alternately
from benchmarks.tables import quantity
from benchmarks.tables import ratio

TITLE = (
    "Alternatives: CPU ms of the package's way, named first, and of others, "
    "and the ratio (above 1: the package's is faster)"
)


def convolution():
    """By fours of outputs; as it is; as one product of windows; one a tap.

    The package takes the first in float32 only.
    """
    from keras import ops

    from glomo_keras.ops.fast_convolution import convolve_by_fours

    def windows(x):
        x = ops.pad(x, ((0, 0), (sizes.TAPS - 1, 0), (0, 0)))
        return [x[:, tap : tap + sizes.LENGTH] for tap in range(sizes.TAPS)]

    def by_fours(x, kernel):
        return convolve_by_fours(x, kernel, (sizes.TAPS - 1, 0))

    def one_product(x, kernel):
        x = ops.concatenate(windows(x), axis=-1)
        kernel = ops.reshape(kernel, (sizes.TAPS * sizes.WIDTH, -1))
        return ops.matmul(x, kernel)

    def product_a_tap(x, kernel):
        parts = zip(windows(x), ops.unstack(kernel, axis=0), strict=True)
        return sum(ops.matmul(part, tap) for part, tap in parts)

    arguments = [
        sizes.units(),
        sizes.tensor(sizes.TAPS, sizes.WIDTH, sizes.WIDTH, seed=1),
    ]
    ways = [by_fours, conv, one_product, product_a_tap]
    if arguments[0].dtype != "float32":
        ways[:2] = [conv, by_fours]
    return ways, arguments


def conv(x, kernel):
    """A causal convolution."""
    from keras import ops

    x = ops.pad(x, ((0, 0), (sizes.TAPS - 1, 0), (0, 0)))
    return ops.conv(x, kernel, padding="valid")


def first_convolutions():
    """Those of key and query apart; as one with twice the filters."""
    from keras import ops

    def apart(x, key, query):
        return ops.concatenate([conv(x, key), conv(x, query)], axis=-1)

    def together(x, key, query):
        return conv(x, ops.concatenate([key, query], axis=-1))

    kernels = [
        sizes.tensor(sizes.TAPS, sizes.WIDTH, sizes.WIDTH, seed=seed)
        for seed in (1, 2)
    ]
    return [apart, together], [sizes.units(), *kernels]


def directions():
    """A product for each direction; both as one batched product."""
    from keras import ops

    def apart(x, forward, backward):
        return ops.stack([ops.matmul(x, w) for w in (forward, backward)])

    def batched(x, forward, backward):
        x = ops.reshape(ops.stack([x, x]), (2, -1, sizes.WIDTH))
        y = ops.matmul(x, ops.stack([forward, backward]))
        return ops.reshape(y, (2, sizes.BATCH, sizes.LENGTH, -1))

    size = 3 * sizes.WIDTH
    return [apart, batched], [
        sizes.units(),
        sizes.tensor(sizes.WIDTH, size, seed=1),
        sizes.tensor(sizes.WIDTH, size, seed=2),
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
        return [
            values[..., i * sizes.WIDTH : (i + 1) * sizes.WIDTH]
            for i in range(3)
        ]

    ways = {"split": cell(split), "slices": cell(slices)}
    return ways, [
        sizes.tensor(sizes.BATCH, sizes.LENGTH, 2 * sizes.WIDTH),
        sizes.units(),
        sizes.tensor(2 * sizes.WIDTH, 3 * sizes.WIDTH, seed=1),
        sizes.tensor(sizes.WIDTH, 3 * sizes.WIDTH, seed=2),
    ]


def cross_entropy():
    """In chunks, gradient with the value; full logits; from 4,000 words."""
    import keras
    from keras import ops

    from glomo_keras.ops.cross_entropy import tied_cross_entropy

    targets = ops.arange(sizes.ROWS) * 7
    weights = ops.ones((sizes.ROWS,))
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
        sizes.tensor(sizes.ROWS, sizes.WIDTH),
        sizes.tensor(sizes.VOCABULARY, sizes.WIDTH, seed=1),
    ]


def inference_normalization():
    """Batch normalisation in the kernel of a convolution; after it."""
    import keras
    from keras import ops

    from glomo_keras.layers import MaskedKeyQueryConv

    layer = MaskedKeyQueryConv(sizes.WIDTH)
    layer.build((None, None, sizes.WIDTH))

    def in_kernel(x):
        return ops.stack(layer(x, training=False))

    def after(x):
        stacks = []
        for convs, norms in (
            (layer.key_convs, layer.key_norms),
            (layer.query_convs, layer.query_norms),
        ):
            y = x
            for part, norm in zip(convs, norms, strict=True):
                y = norm(part(y), training=False)
                y = keras.activations.relu(y)
            stacks.append(y)
        return ops.stack(stacks)

    return [in_kernel, after], [sizes.units()]


PARTS = {
    part.__name__: part
    for part in (
        convolution,
        first_convolutions,
        directions,
        graph_alternatives.layers,
        graph_alternatives.thresholds,
        graph_alternatives.weighted_sum,
        graph_alternatives.decoded_rows,
        gru_gates,
        graph_alternatives.edges,
        graph_alternatives.one_mixture,
        graph_alternatives.two_mixtures,
        graph_alternatives.row_groups,
        cross_entropy,
        inference_normalization,
    )
}
INFERENCE = ("row_groups", "inference_normalization")


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
