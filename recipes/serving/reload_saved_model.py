"""Runs an exported graph predictor without the library that made it.

    python recipes/serving/reload_saved_model.py SAVED_MODEL INPUTS.npz \
OUTPUTS.npz

INPUTS.npz holds `token_ids` and `padding_mask`, OUTPUTS.npz gets the graphs.
Keras and glomo_keras are blocked: TensorFlow alone loads the model. It takes
seconds.
"""

import sys

for name in ("keras", "glomo_keras"):
    sys.modules[name] = None  # importing it raises ImportError

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def main(saved_model, inputs, outputs):
    predict = tf.saved_model.load(saved_model).signatures["serving_default"]
    arrays = np.load(inputs)
    graphs = predict(
        token_ids=tf.constant(arrays["token_ids"], tf.int32),
        padding_mask=tf.constant(arrays["padding_mask"], tf.bool),
    )
    np.savez(outputs, **{name: graph.numpy() for name, graph in graphs.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
