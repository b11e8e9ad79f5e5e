import keras

from glomo_keras.layers import GraphWeightedSum
from glomo_keras.layers import KeyQueryProjection
from glomo_keras.models.feature_predictor import make_compositions
from glomo_keras.models.text_inputs import text_inputs
from glomo_keras.models.text_predictor import TextPredictor
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import join_layers
from glomo_keras.ops.graphs import split_layers
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class CoupledGraphPredictor(TextPredictor):
    """Predicts graphs from the features they act on: the ablation without g.

    There are no CNNs. Layer l's graphs are computed from the features
    F^(l-1), which this model computes for the purpose; a `ContextPretrainer`
    shares its compositions.

    Args:
        vocabulary_size: Integer V.
        embedding_dim: Integer d. Defaults to `512`.
        num_heads: Integer K; divides d. Defaults to `8`.
        key_dim: Integer C per head. Defaults to `None`, which is
            `embedding_dim // 2`.
        num_graph_layers: Integer L. Defaults to `3`.
        threshold: `"query"` or `"scalar"`. Defaults to `"query"`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`. Defaults to
            `"squared_relu"`.
        composition: `"gru"` or `"residual"`, see `FeatureComposition`.
            Defaults to `"gru"`.
        share_cell: Boolean, one composition for all layers of a direction.
            Defaults to `True`.
        embeddings_initializer: See `GraphPredictor`. Defaults to `None`.
        dtype: Dtype policy.
        name: String.
        trainable: Boolean. Defaults to `True`.

    Call arguments and returns are those of `GraphPredictor`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> predictor = gk.models.CoupledGraphPredictor(
    ...     vocabulary_size=50, embedding_dim=16, num_heads=2, key_dim=4)
    >>> ids = np.arange(10).reshape(2, 5)
    >>> graphs = predictor(
    ...     {"token_ids": ids, "padding_mask": np.ones((2, 5), bool)})
    >>> tuple(graphs["forward_graphs"].shape)
    (2, 3, 2, 5, 5)

    Reference:
        Yang et al. 2018, Table 2, the ablation "decouple".
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim=512,
        num_heads=8,
        key_dim=None,
        num_graph_layers=3,
        threshold="query",
        activation="squared_relu",
        composition="gru",
        share_cell=True,
        embeddings_initializer=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(num_graph_layers=num_graph_layers)
        super().__init__(dtype=dtype, name=name)
        dtype = self.dtype_policy

        # === Layers ===
        self.make_embedding(
            vocabulary_size, embedding_dim, embeddings_initializer
        )
        key_dim = embedding_dim // 2 if key_dim is None else key_dim
        self.projections = {
            direction: [
                KeyQueryProjection(
                    num_heads,
                    key_dim,
                    threshold=threshold,
                    direction=direction,
                    dtype=dtype,
                    name=f"{direction}_projection_{layer}",
                )
                for layer in range(num_graph_layers)
            ]
            for direction in DIRECTIONS
        }
        self.weighted_sum = GraphWeightedSum(dtype=dtype, name="weighted_sum")
        self.compositions = make_compositions(
            embedding_dim,
            num_graph_layers - 1,
            composition,
            share_cell,
            DIRECTIONS,
            dtype,
        )
        self.graph = self.make_graph_layer(activation)
        self.activation = activation

        # === Functional Model ===
        inputs = text_inputs(["token_ids", "padding_mask"])
        layers = self.layer_by_layer(self.embed(inputs), inputs["padding_mask"])
        factors = {
            f"{direction}_graphs": join_layers(graphs)
            for direction, graphs in layers.items()
        }
        self.set_graphs(inputs, factors, trainable)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.num_graph_layers = num_graph_layers
        self.threshold = threshold
        self.composition = composition
        self.share_cell = share_cell

    def layer_by_layer(
        self, embedded, padding_mask=None, training=None, positions=None
    ):
        """Returns the factors of each graph layer, see `Predictor`."""
        return {
            direction: self._one_direction(
                direction,
                embedded,
                padding_mask,
                (positions or {}).get(direction),
            )
            for direction in DIRECTIONS
        }

    def _one_direction(self, direction, features, padding_mask, positions):
        *projections, last = self.projections[direction]
        layers = []
        for projection, composition in zip(
            projections, self.compositions[direction], strict=True
        ):
            layers += split_layers(
                projection(features, features, padding_mask=padding_mask)
            )
            messages = self.weighted_sum(features, self.readable(layers[-1]))
            features = composition(features, messages)
        if positions is None:
            factors = last(features, features, padding_mask=padding_mask)
            return layers + split_layers(factors)
        return layers + last.layer_by_layer(
            features, features, padding_mask, positions
        )

    def get_config(self):
        return {
            **super().get_config(),
            "composition": self.composition,
            "share_cell": self.share_cell,
        }
