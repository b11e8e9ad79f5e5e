import keras
from keras import ops


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
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        graphs = self.predictor.factored()(inputs, training=False)
        return {name: self._finish(graph) for name, graph in graphs.items()}

    def _finish(self, factors):
        graph = {k: x for k, x in factors.items() if k != "padding_mask"}
        if self.layers is not None:
            index = [number - 1 for number in self.layers]
            graph = {k: ops.take(x, index, 1) for k, x in graph.items()}
        graph = {
            k: ops.stop_gradient(ops.cast(x, "float32"))
            for k, x in graph.items()
        }
        return {**graph, "padding_mask": factors["padding_mask"]}

    def compute_mask(self, inputs, previous_mask):
        return None
