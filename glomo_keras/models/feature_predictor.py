import keras
from keras import ops

from glomo_keras.layers import GraphWeightedSum
from glomo_keras.models._layers_first_model import LayersFirstModel
from glomo_keras.models.graph_predictor import build_compositions
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.graphs import split_layers


@keras.saving.register_keras_serializable(package="glomo_keras")
class FeaturePredictor(LayersFirstModel):
    """f, the network that pretraining needs and transfer throws away.

    From the embeddings F^0 and the graphs of each direction the features
    `F^l = v(sum_s G^l_ts F^(l-1)_s, F^(l-1)_t)` of all layers, Eq. 2.

    Args:
        embedding_dim: integer, d; K divides it.
        num_heads: integer, K.
        key_dim: integer, C.
        num_graph_layers: integer, L.
        activation: that of the graph predictor.
        composition: `"gru"` or `"residual"`, see `FeatureComposition`.
        share_cell: boolean, one composition for all layers of a direction.
        compositions: dict of a list of `FeatureComposition` per direction:
            those of a coupled `GraphPredictor`, to share.
        directions: `("forward", "backward")`, or one of them.
        dtype: dtype policy.
        name: string.
        trainable: boolean.

    Call arguments:
        inputs: dict of `embeddings` `(B, T, d)`, `padding_mask` boolean
            `(B, T)`, and `forward_graphs` and `backward_graphs` in factored
            form, as `GraphPredictor.factored()` gives them.

    Returns:
        Dict of `forward_features` and `backward_features`, each
        `(B, L, T, d)`: F^1 .. F^L in reading order.

    Reference:
        Yang et al. 2018, Sec. 2.1, "Feature Predictor".
    """

    def __init__(
        self,
        embedding_dim,
        num_heads,
        key_dim,
        num_graph_layers=3,
        activation="squared_relu",
        composition="gru",
        share_cell=True,
        compositions=None,
        directions=DIRECTIONS,
        dtype=None,
        name=None,
        trainable=True,
    ):
        # === Layers ===
        self.sums = {
            direction: GraphWeightedSum(
                direction, activation, dtype=dtype, name=f"{direction}_sum"
            )
            for direction in directions
        }
        self.compositions = {
            direction: _completed(
                (compositions or {}).get(direction, []),
                build_compositions(
                    num_graph_layers, composition, share_cell, direction, dtype
                ),
                share_cell,
            )
            for direction in directions
        }

        # === Functional Model ===
        heads = (num_graph_layers, num_heads, None)
        inputs = {
            "embeddings": keras.Input((None, embedding_dim), name="embeddings"),
            "padding_mask": keras.Input(
                (None,), dtype="bool", name="padding_mask"
            ),
        }
        for direction in directions:
            inputs[f"{direction}_graphs"] = {
                "queries": keras.Input((*heads, key_dim)),
                "keys": keras.Input((*heads, key_dim)),
                "thresholds": keras.Input(heads),
                "padding_mask": keras.Input((None,), dtype="bool"),
            }
        outputs = {
            f"{direction}_features": ops.stack(
                self.features_of(
                    direction,
                    inputs["embeddings"],
                    inputs[f"{direction}_graphs"],
                    inputs["padding_mask"],
                ),
                axis=1,
            )
            for direction in directions
        }
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.trainable = trainable

        # === Config ===
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.num_graph_layers = num_graph_layers
        self.activation = activation
        self.composition = composition
        self.share_cell = share_cell
        self.directions = tuple(directions)

    def features_of(
        self, direction, embeddings, graphs, padding_mask, positions=None
    ):
        """The features of all layers of one direction.

        Args:
            direction: `"forward"` or `"backward"`.
            embeddings: F^0, tensor `(B, T, d)`.
            graphs: `(B, L, K, T, T)` or its factors, or a list of them for
                each layer.
            padding_mask: boolean tensor `(B, T)`.
            positions: integer tensor `(N,)`, where the last layer is wanted;
                everywhere if None.

        Returns:
            List of F^1 .. F^L, each `(B, T, d)`, the last `(B, N, d)` with
            positions.
        """
        features, outputs = embeddings, []
        layers = graphs if isinstance(graphs, list) else split_layers(graphs)
        compositions = self.compositions[direction]
        for layer, (graph, composition) in enumerate(
            zip(layers, compositions, strict=True)
        ):
            last = layer == len(compositions) - 1
            wanted = positions if last else None
            messages = self.sums[direction](
                features,
                graph,
                positions=wanted,
                padding_mask=padding_mask,
            )
            if wanted is not None:
                features = ops.take(features, wanted, axis=1)
            features = composition(features, messages)
            outputs.append(features)
        return outputs

    def get_config(self):
        names = (
            "embedding_dim",
            "num_heads",
            "key_dim",
            "num_graph_layers",
            "activation",
            "composition",
            "share_cell",
            "directions",
            "name",
            "trainable",
        )
        config = {name: getattr(self, name) for name in names}
        dtype = keras.dtype_policies.serialize(
            self.sums[self.directions[0]].dtype_policy
        )
        return {**config, "dtype": dtype}


def _completed(given, own, share_cell):
    """The given compositions, and own ones for the layers they lack."""
    if share_cell:
        return [given[0]] * len(own) if given else own
    return [*given, *own[len(given) :]]
