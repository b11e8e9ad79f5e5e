import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glomo_keras")
class Perplexity(keras.metrics.Mean):
    """`exp` of the mean of the cross entropies it is updated with, in nats."""

    def result(self):
        return ops.exp(super().result())
