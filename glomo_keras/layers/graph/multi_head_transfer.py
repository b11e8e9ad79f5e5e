import keras
from keras import ops

from glomo_keras.layers.graph.gated_graph_fusion import GatedGraphFusion
from glomo_keras.layers.graph.multi_head_weighted_sum import (
    MultiHeadWeightedSum,
)
from glomo_keras.ops.graphs import check_same_heads
from glomo_keras.ops.graphs import check_transfer_shapes
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.ops.graphs import layers_and_heads
from glomo_keras.ops.graphs import split_layers
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class MultiHeadTransfer(keras.layers.Layer):
    """Plugs pretrained graphs into a task, with a value projection per head.

    The paper's `GraphTransfer` averages all heads of a direction into one
    matrix M before it multiplies the features. This layer keeps them apart,
    as they were in pretraining:

        R = [G^lk V_lk H for all layers l and heads k]
        output = [H, gate([H, R_fw, R_bw])]

    with a learned `V_lk` for each head (`MultiHeadWeightedSum`) and the gate
    of `GatedGraphFusion`.

    Args:
        value_dim: Integer, the width of `V_lk H`. Defaults to `None`, which
            is `max(1, d // K)`.
        units, dropout, gate_initializer, seed, **kwargs: See `GraphTransfer`.

    Call arguments, returns and errors are those of `GraphTransfer`.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = {"forward_graphs": keras.ops.zeros((2, 3, 4, 5, 5))}
    >>> features = keras.ops.ones((2, 5, 6))
    >>> tuple(gk.layers.MultiHeadTransfer()(features, graphs).shape)
    (2, 5, 12)

    Reference:
        Yang et al. 2018, Sec. 2.3 (the gate); Vaswani et al. 2017 (values).
    """

    def __init__(
        self,
        value_dim=None,
        units=None,
        dropout=0.0,
        gate_initializer="zeros",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive_or_none(value_dim=value_dim)
        self.value_dim = value_dim
        self.units = units
        self.dropout = dropout
        self.gate_initializer = keras.initializers.get(gate_initializer)
        self.seed = seed
        self.supports_masking = True
        self.sums = None
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
        graphs = check_transfer_shapes(features_shape, graphs_shape)
        self.sums = {
            direction: [
                self._weighted_sum(f"{direction}_sum_{index}")
                for index in range(shape[1])
            ]
            for direction, shape in graphs.items()
        }
        width = 0
        for direction, (batch, _, heads, *rows) in graphs.items():
            for layer in self.sums[direction]:
                layer.build(features_shape, (batch, heads, *rows))
                width += layer.value_kernel.shape[-1]
        self.fusion.build(features_shape, (*features_shape[:-1], width))

    def _weighted_sum(self, name):
        return MultiHeadWeightedSum(
            self.value_dim,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name=name,
        )

    def call(self, features, graphs, training=None):
        directions = checked_directions(graphs, built=self.sums)
        for direction in directions:
            sums = self.sums[direction]
            check_same_heads(
                layers_and_heads(graphs[f"{direction}_graphs"]),
                (len(sums), sums[0].num_heads),
            )
        messages = [
            weighted_sum(features, layer)
            for direction in directions
            for weighted_sum, layer in zip(
                self.sums[direction],
                split_layers(graphs[f"{direction}_graphs"]),
                strict=True,
            )
        ]
        return self.fusion(
            features, ops.concatenate(messages, axis=-1), training=training
        )

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, graphs_shape):
        check_transfer_shapes(features_shape, graphs_shape, built=self.sums)
        return self.fusion.compute_output_shape(features_shape, features_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "value_dim": self.value_dim,
            "units": self.units,
            "dropout": self.dropout,
            "gate_initializer": keras.initializers.serialize(
                self.gate_initializer
            ),
            "seed": self.seed,
        }
