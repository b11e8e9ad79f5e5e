"""The fastest matrix product of the machine: what no step can exceed."""

from benchmarks.measuring import time_calls
from benchmarks.tables import quantity

SIZE = 2048
BEST_OF = 20
TYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
TITLE = f"GEMM ceiling: matmul {SIZE} x {SIZE} x {SIZE}, graph mode, GFLOP/s"


def cases(options):
    return list(options.precisions)


def measure(fields, options):
    """GFLOP/s of the product, the best of at least 20.

    Args:
        fields: `[precision]`.
        options: the benchmark's.
    """
    import tensorflow as tf

    dtype = TYPES[fields[0]]
    x = tf.cast(tf.random.stateless_normal((SIZE, SIZE), (0, 0)), dtype)
    product = tf.function(tf.linalg.matmul)
    fastest = time_calls(lambda: product(x, x), BEST_OF)["fastest"]
    return {"gflops": 2 * SIZE**3 / fastest / 1e9}


def rows(outcomes):
    return [
        {
            "precision": TYPES[case.split(":")[1]],
            "GFLOP/s": quantity(outcome, "gflops"),
        }
        for case, outcome in outcomes.items()
        if case.startswith("ceiling:")
    ]
