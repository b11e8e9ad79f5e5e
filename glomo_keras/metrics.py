"""Metrics of pretraining, updated with cross entropies in nats."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glomo_keras")
class CrossEntropy(keras.metrics.Mean):
    """Computes the mean cross entropy, NaN until something was predicted."""

    def result(self):
        mean = super().result()
        return ops.where(self.count > 0, mean, math.nan)


@keras.saving.register_keras_serializable(package="glomo_keras")
class Perplexity(CrossEntropy):
    """Computes `exp` of the mean cross entropy."""

    def result(self):
        return ops.exp(super().result())


@keras.saving.register_keras_serializable(package="glomo_keras")
class BitsPerDimension(CrossEntropy):
    """Computes the mean cross entropy in bits."""

    def result(self):
        return super().result() / math.log(2)
