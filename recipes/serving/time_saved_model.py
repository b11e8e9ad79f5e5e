"""How fast an exported predictor loads and answers, in a fresh process.

    python recipes/serving/time_saved_model.py saved_models/glomo_small_en/1

Keras and this package are blocked: TensorFlow alone loads the model. Prints how
long it took to load (after TensorFlow itself was imported), then for each
signature that takes a text the first answer to one sentence, and the median and
the slowest of 5 % over 200 further ones. It takes ten seconds; figures in
`docs/serving.md`.
"""

import sys
import time

for name in ("keras", "glomo_keras"):
    sys.modules[name] = None  # importing it raises ImportError

START = time.perf_counter()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

IMPORTED = time.perf_counter()
SENTENCE = "The cat sat on the mat because it was tired."
CALLS = 200


def main(folder):
    start = time.perf_counter()
    model = tf.saved_model.load(folder)
    loaded = time.perf_counter() - start
    print(f"import of TensorFlow {IMPORTED - START:.2f} s, load {loaded:.2f} s")
    print("| signature | first answer | median | 95 % below |")
    print("|---|---|---|---|")
    for name in ("serving_default", "mixture", "edges"):
        run = model.signatures[name]
        inputs = {"text": tf.constant([SENTENCE])}
        specs = run.structured_input_signature[1]
        if "weights" in specs:
            inputs["weights"] = tf.ones((1, *specs["weights"].shape[1:]))
        first, *warm = (seconds(run, inputs) for _ in range(CALLS + 1))
        median, slow = np.quantile(warm, [0.5, 0.95])
        print(
            f"| {name} | {first * 1e3:.0f} ms | {median * 1e3:.1f} ms | "
            f"{slow * 1e3:.1f} ms |"
        )


def seconds(run, inputs):
    """Seconds until the arrays of an answer are there."""
    start = time.perf_counter()
    for output in run(**inputs).values():
        output.numpy()
    return time.perf_counter() - start


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "Usage: python recipes/serving/time_saved_model.py SAVED_MODEL"
        )
    main(sys.argv[1])
