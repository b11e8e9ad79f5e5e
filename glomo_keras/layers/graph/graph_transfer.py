import keras
from keras import ops

from glomo_keras.layers.graph.gated_graph_fusion import GatedGraphFusion
from glomo_keras.layers.graph.graph_mixture import GraphMixture
from glomo_keras.ops.equations import scaled_messages
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import check_transfer_shapes
from glomo_keras.ops.graphs import checked_directions


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphTransfer(keras.layers.Layer):
    """Plugs pretrained graphs into a task: mix, multiply, gate, concatenate.

    For each direction and each of n mixtures (`GraphMixture`)

        R = scale * M @ H
        output = [H, gate([H, R_fw1, R_bw1, R_fw2, R_bw2, ...])]

    with the gate of `GatedGraphFusion`. The directions are mixed separately
    and never multiplied with each other.

    Args:
        num_mixtures: Integer n, mixtures per direction. Defaults to `1`.
        conditioned: Whether the mixture weights come from the features
            instead of being free parameters. Defaults to `False`.
        include_products: Whether products of graph layers are mixed in.
            Defaults to `True`.
        units: Integer, width of the gated part. Defaults to `None`, the width
            of the features.
        dropout: Float, dropout of the inputs of the mixture weights and of
            the gate. Defaults to `0.0`.
        gate_initializer: Initializer of the gate's bias; far below 0, the
            task starts as if without graphs. Defaults to `"zeros"`.
        seed: Integer seed of the dropout. Defaults to `None`.
        max_length: Integer, the largest T there will be, if it is known; see
            `GraphMixture`. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: H, tensor `(B, T, d)`: embeddings, RNN states, pixels.
        graphs: Dict of `forward_graphs` and `backward_graphs` (one of them is
            enough), as a `GraphPredictor` gives them: each `(B, L, K, T, T)`
            or its factors.
        training: Boolean.

    Returns:
        Tensor `(B, T, d + units)`.

    Raises:
        ValueError: If an argument is out of its range, `graphs` is not such
            a dict or has other directions than the layer was built with,
            ranks are wrong, or lengths differ.

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
        gate_initializer="zeros",
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
        self.gate_initializer = keras.initializers.get(gate_initializer)
        self.seed = seed
        self.max_length = max_length
        self.supports_masking = True
        self._directions = None
        self.mixtures = {
            direction: GraphMixture(
                num_mixtures=num_mixtures,
                conditioned=conditioned,
                include_products=include_products,
                dropout=dropout,
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
            gate_initializer=gate_initializer,
            seed=seed,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="fusion",
        )

    def build(self, features_shape, graphs_shape=None):
        self._directions = directions = checked_directions(graphs_shape)
        for direction in directions:
            mixture = self.mixtures[direction]
            shape = graphs_shape[f"{direction}_graphs"]
            mixture.build(shape, features_shape)
            if not mixture.sum_supports_jit(shape, features_shape):
                self.supports_jit = False
        self.scales = self.add_weight(
            name="scales",
            shape=(len(directions), self.num_mixtures),
            initializer="ones",
        )
        parts = len(directions) * self.num_mixtures
        width = features_shape[-1]
        self.fusion.build(features_shape, (*features_shape[:-1], parts * width))

    def call(self, features, graphs, training=None):
        sums = [
            self.mixtures[direction].weighted_sum(
                graphs[f"{direction}_graphs"], features, training=training
            )
            for direction in checked_directions(graphs, built=self._directions)
        ]
        if self.num_mixtures == 1:
            sums = [ops.expand_dims(x, 1) for x in sums]
        return self.fusion(
            features, scaled_messages(self.scales, sums), training=training
        )

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, graphs_shape):
        check_transfer_shapes(
            features_shape, graphs_shape, built=self._directions
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
            "gate_initializer": keras.initializers.serialize(
                self.gate_initializer
            ),
            "seed": self.seed,
            "max_length": self.max_length,
        }
