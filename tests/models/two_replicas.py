"""Trains a model on one device and on two, and compares losses and weights.

    KERAS_BACKEND=jax python -m tests.models.two_replicas NAME

A process of its own, since devices are made before anything else runs.
"""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np

import glomo_keras as gk

# Batch statistics are those of a replica.
SIZES = {
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 3,
    "num_conv_layers": 1,
    "num_graph_layers": 1,
    "normalization": "layer",
}
IDS = np.random.default_rng(0).integers(0, 9, (8, 12)).astype("int32")
TEXTS = {"token_ids": IDS, "padding_mask": np.ones(IDS.shape, bool)}
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 3, 3, 3))


def context_pretrainer():
    predictor = gk.GraphPredictor(9, **SIZES)
    model = gk.ContextPretrainer(
        predictor, context_length=2, num_decoder_layers=1
    )
    return model, TEXTS, None, None


def pixel_pretrainer():
    predictor = gk.ImageGraphPredictor(**SIZES, bidirectional=True)
    inputs = {"images": IMAGES.astype("uint8")}
    return gk.PixelPretrainer(predictor), inputs, None, None


def text_classifier():
    model = gk.models.TextClassifier(
        {"word_ids": keras.layers.Embedding(9, 4)},
        gk.models.PredictedGraphs(gk.GraphPredictor(9, **SIZES)),
        hidden_dim=4,
        dropout=0.0,
    )
    loss = {"logits": keras.losses.SparseCategoricalCrossentropy(True)}
    labels = {"logits": IDS[:, 0] % 2}
    return model, {**TEXTS, "word_ids": IDS}, labels, loss


def train(make):
    """Returns losses and trained weights."""
    keras.utils.set_random_seed(0)
    model, inputs, labels, loss = make()
    model.compile(keras.optimizers.SGD(0.5), loss)
    history = model.fit(
        inputs, labels, batch_size=8, epochs=2, shuffle=False, verbose=0
    )
    weights = map(keras.ops.convert_to_numpy, model.trainable_weights)
    return history.history["loss"], list(weights)


def train_on_two(make):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
        with strategy.scope():
            return train(make)
    devices = keras.distribution.list_devices("cpu")
    assert len(devices) == 2
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices)
    )
    try:
        return train(make)
    finally:
        keras.distribution.set_distribution(None)


def make_two_devices():
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


MODELS = (context_pretrainer, pixel_pretrainer, text_classifier)


def main(name):
    make_two_devices()
    make = {make.__name__: make for make in MODELS}[name]
    one, two = train(make), train_on_two(make)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    for first, second in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    print(name, "is the same on one device and on two")


if __name__ == "__main__":
    main(*sys.argv[1:])
