"""Metrics of pretraining, updated with cross entropies in nats."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glomo_keras")
class Perplexity(keras.metrics.Mean):
    """`exp` of the mean cross entropy."""

    def result(self):
        return ops.exp(super().result())


@keras.saving.register_keras_serializable(package="glomo_keras")
class BitsPerDimension(keras.metrics.Mean):
    """The mean cross entropy in bits."""

    def result(self):
        return super().result() / math.log(2)
