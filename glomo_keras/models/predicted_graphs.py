import keras
from keras import ops

from glomo_keras.models.frozen_layer import FrozenLayer
from glomo_keras.models.frozen_layer import frozen_copy
from glomo_keras.ops.graphs import join_layers
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class PredictedGraphs(FrozenLayer):
    """Takes the graphs of a task model from a pretrained predictor.

    It works with a frozen copy of the predictor, in inference mode whatever
    the model around it does: nothing trains the copy, no gradient reaches it,
    and the caller's predictor stays as it is. The graphs are float32 whatever
    the predictor's policy.

    Args:
        predictor: `GraphPredictor` or `ImageGraphPredictor`.
        graph_layers: Sequence of the numbers of the graph layers that are
            used, from 1, each once. Defaults to `None`, all.
        dtype: Dtype policy in which queries and keys are made. Defaults to
            `None`, that of the predictor.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Dict of the predictor's inputs: `token_ids` and `padding_mask`
            `(B, T)`, or `images` `(B, H, W, 3)`.

    Returns:
        Dict of `forward_graphs` and `backward_graphs` (or one of them) in
        factored form; of an ablation of Eq. 1 `(B, L, K, T, T)`.

    Raises:
        ValueError: If `graph_layers` are not different layers of the
            predictor.

    Example:

    >>> import keras, glomo_keras as gk
    >>> predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    >>> model = gk.models.TextClassifier(
    ...     {"word_ids": keras.layers.Embedding(100, 16)},
    ...     gk.models.PredictedGraphs(predictor), hidden_dim=8)
    >>> sorted(model.input)
    ['padding_mask', 'token_ids', 'word_ids']
    """

    def __init__(self, predictor, graph_layers=None, dtype=None, **kwargs):
        if dtype is None:
            dtype = predictor.dtype_policy
        super().__init__(dtype=dtype, **kwargs)
        chosen = check.chosen_numbers(
            "graph_layers", graph_layers, predictor.num_graph_layers
        )
        self.predictor = frozen_copy(predictor, self.dtype_policy)
        self.graph_layers = tuple(chosen)

    @property
    def input_names(self):
        """Names of the inputs that the graphs are made from."""
        return tuple(self.predictor.input)

    def call(self, inputs):
        layers = self.predictor.layer_by_layer(
            self.predictor.embed(inputs),
            inputs.get("padding_mask"),
            training=False,
        )
        return {
            f"{direction}_graphs": self._finish(factors)
            for direction, factors in layers.items()
        }

    def _finish(self, factors):
        chosen = join_layers([factors[n - 1] for n in self.graph_layers])
        return keras.tree.map_structure(
            _frozen, self.predictor.readable(chosen)
        )

    def compute_mask(self, inputs, previous_mask):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "predictor": keras.saving.serialize_keras_object(self.predictor),
            "graph_layers": self.graph_layers,
        }

    @classmethod
    def from_config(cls, config):
        predictor = keras.saving.deserialize_keras_object(config["predictor"])
        return super().from_config({**config, "predictor": predictor})


def _frozen(tensor):
    if keras.backend.standardize_dtype(tensor.dtype) == "bool":
        return tensor
    return ops.stop_gradient(ops.cast(tensor, "float32"))
