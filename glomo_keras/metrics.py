"""Metrics of pretraining, updated with cross entropies in nats."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glomo_keras")
class CrossEntropy(keras.metrics.Mean):
    """The mean cross entropy, NaN as long as nothing was predicted."""

    def result(self):
        mean = super().result()
        return ops.where(self.count > 0, mean, math.nan)


@keras.saving.register_keras_serializable(package="glomo_keras")
class Perplexity(CrossEntropy):
    """`exp` of the mean cross entropy."""

    def result(self):
        return ops.exp(super().result())


@keras.saving.register_keras_serializable(package="glomo_keras")
class BitsPerDimension(CrossEntropy):
    """The mean cross entropy in bits."""

    def result(self):
        return super().result() / math.log(2)
