import keras
from keras import ops

from glomo_keras.layers import FeatureComposition
from glomo_keras.layers import GraphWeightedSum
from glomo_keras.layers import MultiHeadWeightedSum
from glomo_keras.layers.graph._mixture_messages import _MixtureMessages
from glomo_keras.models.glomo_model import GlomoModel
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import heads_of
from glomo_keras.ops.graphs import split_layers
from glomo_keras.utils import validation as check

MESSAGES = ("slices", "values", "mixture")


@keras.saving.register_keras_serializable(package="glomo_keras")
class FeaturePredictor(GlomoModel):
    """Computes features from graphs: f, which only pretraining needs.

    From the embeddings F^0 and the graphs of each direction it computes the
    features of all layers, Eq. 2:

        F^l_t = v(sum_s G^l_ts F^(l-1)_s, F^(l-1)_t)

    In the sum, head k weighs slice k of the features. With
    `messages="values"` f is flat instead, as tasks are: the heads of all
    layers gather from the embeddings, each a learned projection of its own,

        F_t = v(sum_l m^l_t, F^0_t),   m^l of `MultiHeadWeightedSum`.

    With `messages="mixture"` f is flat too. One mixture of all graphs gathers
    from the embeddings, as in a task, but without products of layers,

        F_t = v(W sum_lk w_lk sum_s G^lk_ts F^0_s, F^0_t),

    w a softmax over layers and heads.

    Args:
        embedding_dim: Integer d.
        num_graph_layers: Integer L. Defaults to `3`.
        num_heads: Integer K. Not used by `messages="slices"`. Defaults to
            `8`.
        messages: `"slices"`, `"values"` or `"mixture"`, see above. Defaults to
            `"slices"`.
        composition: `"gru"` or `"residual"`, the function v, see
            `FeatureComposition`. Defaults to `"gru"`.
        share_cell: Boolean, one composition for all layers of a direction.
            Defaults to `True`.
        directions: `("forward", "backward")`, or one of them. Defaults to
            both.
        compositions: Dict of a list of `FeatureComposition` per direction:
            those of a `CoupledGraphPredictor`, to be shared. They are not
            part of the config. Defaults to `None`.
        dtype: Dtype policy.
        name: String.
        trainable: Boolean. Defaults to `True`.

    Call arguments:
        inputs: Dict of `embeddings` `(B, T, d)`, `forward_graphs` and
            `backward_graphs`, each `(B, L, K, T, T)` or its factors; K
            divides d.

    Returns:
        Dict of `forward_features` and `backward_features`, each
        `(B, L, T, d)`: F^1 .. F^L in reading order; `(B, 1, T, d)` if f is
        flat.

    Raises:
        ValueError: If an argument is out of its range, or the graphs of a flat
            f have other numbers of layers or heads than it.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = keras.ops.zeros((2, 3, 8, 5, 5))
    >>> features = gk.FeaturePredictor(16)({
    ...     "embeddings": keras.ops.ones((2, 5, 16)),
    ...     "forward_graphs": graphs, "backward_graphs": graphs})
    >>> tuple(features["forward_features"].shape)
    (2, 3, 5, 16)

    Reference:
        Yang et al. 2018, Sec. 2.1, "Feature Predictor".
    """

    def __init__(
        self,
        embedding_dim,
        num_graph_layers=3,
        num_heads=8,
        messages="slices",
        composition="gru",
        share_cell=True,
        directions=DIRECTIONS,
        compositions=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(
            embedding_dim=embedding_dim,
            num_graph_layers=num_graph_layers,
            num_heads=num_heads,
        )
        check.check_option("messages", messages, MESSAGES)
        check.check_different("directions", directions, DIRECTIONS)
        super().__init__(dtype=dtype, name=name)

        # === Layers ===
        flat = messages != "slices"
        self.weighted_sum = GraphWeightedSum(
            dtype=self.dtype_policy, name="weighted_sum"
        )
        self.weighted_sums = {
            direction: _make_weighted_sums(
                embedding_dim,
                num_graph_layers,
                num_heads,
                f"{direction}_weighted_sum",
                self.dtype_policy,
            )
            for direction in directions
            if messages == "values"
        }
        self.mixtures = {
            direction: _make_mixture(
                embedding_dim,
                num_graph_layers,
                num_heads,
                f"{direction}_mixture",
                self.dtype_policy,
            )
            for direction in directions
            if messages == "mixture"
        }
        self.compositions = make_compositions(
            embedding_dim,
            1 if flat else num_graph_layers,
            composition,
            share_cell,
            directions,
            self.dtype_policy,
            given=compositions,
        )
        self.built = True
        if not trainable:
            self.trainable = False

        # === Config ===
        self.embedding_dim = embedding_dim
        self.num_graph_layers = num_graph_layers
        self.num_heads = num_heads
        self.messages = messages
        self.composition = composition
        self.share_cell = share_cell
        self.directions = tuple(directions)

    def call(self, inputs):
        return {
            f"{direction}_features": ops.stack(
                self.layer_by_layer(
                    direction,
                    inputs["embeddings"],
                    split_layers(inputs[f"{direction}_graphs"]),
                ),
                axis=1,
            )
            for direction in self.directions
        }

    def layer_by_layer(self, direction, embeddings, graphs, positions=None):
        """Returns the features of each layer of one direction.

        Args:
            direction: `"forward"` or `"backward"`.
            embeddings: F^0, tensor `(B, T, d)`.
            graphs: List of L graphs of one layer, of either form.
            positions: Integer tensor `(N,)`, if the last graph has these rows
                only. Defaults to `None`.

        Returns:
            List of F^1 .. F^L (one F if f is flat), each
            `(B, T, d)`, the last `(B, N, d)` with positions.
        """
        if self.messages != "slices":
            return [self._flat(direction, embeddings, graphs, positions)]
        features, outputs = embeddings, []
        *_, last = graphs
        for graph, composition in zip(
            graphs, self.compositions[direction], strict=True
        ):
            messages = self.weighted_sum(features, graph)
            if graph is last and positions is not None:
                features = ops.take(features, positions, axis=1)  # (B, N, d)
            features = composition(features, messages)
            outputs.append(features)
        return outputs

    def _flat(self, direction, features, graphs, positions):
        found = [heads_of(graph) for graph in graphs]
        if found != [self.num_heads] * self.num_graph_layers:
            raise ValueError(
                f"With messages={self.messages!r} there must be "
                f"{self.num_graph_layers} graph layers of {self.num_heads} "
                "heads, as in `num_graph_layers` and `num_heads`. Received: "
                f"{len(found)} graph layers of {found} heads"
            )
        if self.messages == "mixture":
            messages = self.mixtures[direction](features, graphs, positions)
        else:
            *_, last = graphs
            messages = sum(
                weighted_sum(
                    features, graph, None if graph is last else positions
                )
                for weighted_sum, graph in zip(
                    self.weighted_sums[direction], graphs, strict=True
                )
            )
        if positions is not None:
            features = ops.take(features, positions, axis=1)  # (B, N, d)
        (composition,) = self.compositions[direction]
        return composition(features, messages)

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "num_graph_layers": self.num_graph_layers,
            "num_heads": self.num_heads,
            "messages": self.messages,
            "composition": self.composition,
            "share_cell": self.share_cell,
            "directions": self.directions,
        }


def _make_weighted_sums(width, count, num_heads, name, dtype):
    """Returns the sums of `messages="values"`, one for each graph layer."""
    layers = []
    for index in range(count):
        layer = MultiHeadWeightedSum(
            units=width, dtype=dtype, name=f"{name}_{index}"
        )
        layer.build((None, None, width), (None, num_heads, None, None))
        layers.append(layer)
    return layers


def _make_mixture(width, num_layers, num_heads, name, dtype):
    """Returns the messages of `messages="mixture"`."""
    layer = _MixtureMessages(width, dtype=dtype, name=name)
    graph = (None, num_heads, None, None)
    layer.build((None, None, width), [graph] * num_layers)
    return layer


def make_compositions(
    width, count, composition, share_cell, directions, dtype, given=None
):
    """Returns the functions v of Eq. 2 by direction, one for each layer.

    Args:
        width: Integer d.
        count: Integer, layers.
        composition: See `FeatureComposition`.
        share_cell: Boolean, the same function for all layers.
        directions: Sequence of names.
        dtype: Dtype policy.
        given: Dict of lists of those that are there already. Defaults to
            `None`.
    """
    compositions = {}
    for direction in directions:
        layers = list(given[direction]) if given else []
        while len(layers) < count:
            if share_cell and layers:
                layers.append(layers[0])
                continue
            layer = FeatureComposition(
                composition,
                dtype=dtype,
                name=f"{direction}_composition_{len(layers)}",
            )
            layer.build((None, None, width), (None, None, width))
            layers.append(layer)
        compositions[direction] = layers
    return compositions
