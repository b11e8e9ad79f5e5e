import keras
from keras import ops

from glomo_keras.ops.graphs import join_layers


@keras.saving.register_keras_serializable(package="glomo_keras")
class _FrozenGraphs(keras.layers.Layer):
    """The graphs of a predictor that nothing trains, in factored form.

    The predictor runs in inference mode whatever the model around it does,
    no gradient leaves it, and its factors are float32 whatever its policy.

    Args:
        predictor: `GraphPredictor`.
        layers: sequence of the numbers of its graph layers that are given,
            from 1, or None for all.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, predictor, layers=None, **kwargs):
        super().__init__(**kwargs)
        self.predictor = predictor
        self.predictor.trainable = False
        self.layers = layers

    @property
    def trainable(self):
        return False

    @trainable.setter
    def trainable(self, value):
        # A model hands its own `trainable` down: the predictor stays frozen.
        keras.layers.Layer.trainable.fset(self, False)

    def build(self, token_ids_shape, padding_mask_shape):
        pass

    def call(self, token_ids, padding_mask):
        graphs = self._factored(token_ids, padding_mask)
        return {name: self._finish(graph) for name, graph in graphs.items()}

    def _factored(self, token_ids, padding_mask):
        if self.layers is None:
            inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
            return self.predictor.factored()(inputs, training=False)
        # Layer by layer: nothing is computed for those not wanted.
        embedded = self.predictor.token_embedding(token_ids)
        layers = self.predictor.layers_of(embedded, padding_mask, False)
        return {
            f"{direction}_graphs": join_layers(
                [graphs[number - 1] for number in self.layers]
            )
            for direction, graphs in layers.items()
        }

    def _finish(self, factors):
        graph = {
            name: ops.stop_gradient(ops.cast(x, "float32"))
            for name, x in factors.items()
            if name != "padding_mask"
        }
        return {**graph, "padding_mask": factors["padding_mask"]}

    def compute_mask(self, inputs, previous_mask):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "predictor": keras.saving.serialize_keras_object(self.predictor),
            "layers": self.layers,
        }

    @classmethod
    def from_config(cls, config):
        predictor = keras.saving.deserialize_keras_object(config["predictor"])
        return cls(**{**config, "predictor": predictor})
