import keras
from keras import ops

from glomo_keras.ops.graphs import graph_shape
from glomo_keras.ops.graphs import materialize


@keras.saving.register_keras_serializable(package="glomo_keras")
class _MaterializeGraph(keras.layers.Layer):
    """The graph `(B, L, K, T, T)` of factors that `SquaredReLUGraph` gave.

    A layer of its own, since Keras 3.15 cannot put two calls of one layer
    with different numbers of outputs into functional models.
    """

    def __init__(self, direction, activation, **kwargs):
        super().__init__(**kwargs)
        self.direction = direction
        self.activation = activation
        self.supports_masking = True

    def call(self, factors):
        graph = materialize(
            factors, direction=self.direction, activation=self.activation
        )
        return ops.cast(graph, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, factors_shape):
        return graph_shape(factors_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "direction": self.direction,
            "activation": self.activation,
        }
