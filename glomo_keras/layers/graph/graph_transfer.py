import keras
from keras import ops

from glomo_keras.layers.graph.gated_graph_fusion import GatedGraphFusion
from glomo_keras.layers.graph.graph_mixture import GraphMixture
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphTransfer(keras.layers.Layer):
    """Plugs pretrained graphs into a task: mix, multiply, gate, concatenate.

    For each direction and each of n mixtures `R = scale * M @ H`; then
    `output = [H, gate([H, R_fw1, R_bw1, R_fw2, R_bw2, ...])]`. The directions
    are mixed separately and never multiplied with each other.

    Args:
        num_mixtures: integer n, mixtures per direction.
        conditioned: boolean, mixture weights from the features rather than
            free parameters.
        include_products: boolean, whether products of graph layers are mixed
            in.
        units: integer, width of the gated part; that of the features if None.
        dropout: float, dropout of the mixture weights' and the gate's inputs.
        activation: that of the graph predictor, for graphs in factored form.
        seed: integer seed of the dropout.
        max_length: integer or None, see `GraphMixture`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        features: H, tensor `(B, T, d)`: embeddings, RNN states, pixels.
        graphs: what a `GraphPredictor` gives: a dict of `forward_graphs` and
            `backward_graphs` (one of them is enough), each `(B, L, K, T, T)`
            or its factors.
        padding_mask: boolean `(B, T)`, True = real unit. The Keras mask of
            `features` is used where it is not given.
        training: boolean.

    Returns:
        Tensor `(B, T, d + units)`.

    Raises:
        ValueError: an argument out of its range, graphs that are not such a
            dict or of other directions than at first, wrong ranks, or
            lengths that differ.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = {"forward_graphs": keras.ops.zeros((2, 3, 4, 5, 5))}
    >>> features = keras.ops.ones((2, 5, 6))
    >>> tuple(gk.layers.GraphTransfer(num_mixtures=2)(features, graphs).shape)
    (2, 5, 12)

    Reference:
        Yang et al. 2018, Sec. 2.2 and 2.3; the learned scales and several
        mixtures as in the released code.
    """

    def __init__(
        self,
        num_mixtures=1,
        conditioned=False,
        include_products=True,
        units=None,
        dropout=0.0,
        activation="squared_relu",
        seed=None,
        max_length=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_mixtures = num_mixtures
        self.conditioned = conditioned
        self.include_products = include_products
        self.units = units
        self.dropout = dropout
        self.activation = activation
        self.seed = seed
        self.max_length = max_length
        self.supports_masking = True
        self.mixtures = {
            direction: GraphMixture(
                num_mixtures=num_mixtures,
                conditioned=conditioned,
                include_products=include_products,
                dropout=dropout,
                direction=direction,
                activation=activation,
                seed=None if seed is None else seed + index,
                max_length=max_length,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=f"{direction}_mixture",
            )
            for index, direction in enumerate(DIRECTIONS, 1)
        }
        self.fusion = GatedGraphFusion(
            units=units,
            dropout=dropout,
            seed=seed,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="fusion",
        )

    def build(self, features_shape, graphs_shape=None):
        directions = check.checked_directions(graphs_shape)
        self._directions = tuple(directions)
        for direction in directions:
            self.mixtures[direction].build(
                graphs_shape[f"{direction}_graphs"], features_shape
            )
        self.scales = self.add_weight(
            name="scales",
            shape=(len(directions), self.num_mixtures),
            initializer="ones",
        )
        parts = len(directions) * self.num_mixtures
        width = features_shape[-1]
        self.fusion.build(features_shape, (*features_shape[:-1], parts * width))

    def call(
        self,
        features,
        graphs,
        padding_mask=None,
        features_mask=None,
        training=None,
    ):
        mask = features_mask if padding_mask is None else padding_mask
        directions = self._checked_directions(graphs)
        sums = [
            self.mixtures[direction](
                graphs[f"{direction}_graphs"],
                features,
                padding_mask=mask,
                training=training,
            )
            for direction in directions
        ]
        return self.fusion(features, self._messages(sums), training=training)

    def _checked_directions(self, graphs):
        directions = check.checked_directions(graphs)
        if self.built and tuple(directions) != self._directions:
            raise ValueError(
                "`graphs` must have the directions that the layer was built "
                f"with, {self._directions}. "
                f"Received: {sorted(graphs)}"
            )
        return directions

    def _messages(self, sums):
        """`[R_fw1, R_bw1, R_fw2, ...]` side by side, `(B, T, parts * d)`."""
        if self.num_mixtures == 1:
            sums = [ops.expand_dims(x, 1) for x in sums]
        return ops.concatenate(
            [
                self.scales[index, mixture] * x[:, mixture]
                for mixture in range(self.num_mixtures)
                for index, x in enumerate(sums)
            ],
            axis=-1,
        )

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, graphs_shape):
        for direction in self._checked_directions(graphs_shape):
            graph = check.checked_graph_shape(
                f"{direction}_graphs",
                graphs_shape[f"{direction}_graphs"],
                (5,),
                "(B, L, K, T, T)",
            )
            check.check_same_length(
                features=features_shape[1], graphs=graph[-1]
            )
        return self.fusion.compute_output_shape(features_shape, features_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "num_mixtures": self.num_mixtures,
            "conditioned": self.conditioned,
            "include_products": self.include_products,
            "units": self.units,
            "dropout": self.dropout,
            "activation": self.activation,
            "seed": self.seed,
            "max_length": self.max_length,
        }
