import keras

from glomo_keras.layers import KeyQueryProjection
from glomo_keras.layers import MaskedKeyQueryConv
from glomo_keras.models.selected_heads import select_heads
from glomo_keras.models.text_inputs import text_inputs
from glomo_keras.models.text_predictor import TextPredictor
from glomo_keras.ops.graphs import DIRECTIONS


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphPredictor(TextPredictor):
    """Predicts graphs from tokens: g, pretrained, frozen and transferred.

    For each direction a key CNN and a query CNN over the token embeddings,
    and from their output the graphs of all layers and heads (Eq. 1). The
    networks of the two directions share nothing but the embedding.

    `predictor(inputs)` materialises the graphs, `24 T^2` numbers a text and
    direction at L = 3, K = 8; `predictor.factored()(inputs)` gives their
    factors, linear in T, which every layer that takes a graph takes too.

    A predictor with `trainable=False` (what `from_preset` returns) runs in
    inference mode wherever it stands.

    Args:
        vocabulary_size: Integer V.
        embedding_dim: Integer d. Defaults to `512`.
        num_heads: Integer K. Defaults to `8`.
        key_dim: Integer C per head. Defaults to `None`, which is
            `embedding_dim // 2`.
        kernel_size: Integer, width of the convolutions. Defaults to `3`.
        num_conv_layers: Integer, convolutions in each CNN. Defaults to `4`.
        filters: Integer, channels of the CNNs. Defaults to `None`, which is
            `embedding_dim`.
        residual: Boolean, whether each convolution adds to its input.
            Defaults to `False`.
        num_graph_layers: Integer L. Defaults to `3`.
        threshold: `"query"` or `"scalar"`, see `KeyQueryProjection`. Defaults
            to `"query"`.
        threshold_initializer: Initializer of the thresholds' bias, see
            `KeyQueryProjection`. Defaults to `"zeros"`.
        rotary_dim: Integer, dimensions of keys and queries that know their
            position, see `KeyQueryProjection`. Defaults to `0`.
        rotary_heads: Booleans `(K,)` or `(L, K)`, True for heads whose keys
            and queries are rotated, or a dict of these by direction. No effect
            if `rotary_dim` is 0. Defaults to `None`, all heads.
        activation: `"squared_relu"`, `"square"` or `"softmax"`, see
            `SquaredReLUGraph`. Defaults to `"squared_relu"`.
        normalization: `"batch"`, `"layer"` or `"none"`, in the CNNs. Defaults
            to `"batch"`.
        dropout: Float, on the embeddings, for a whole sequence. Defaults to
            `0.0`.
        embeddings_initializer: Initializer of the embedding. The logits of
            the tied softmax start the smaller the smaller it is. Defaults to
            `None`, the released code's: uniform in [-0.1, 0.1].
        dtype: Dtype policy.
        name: String.
        trainable: Boolean. Defaults to `True`.

    Call arguments:
        inputs: Dict of `token_ids`, int32 `(B, T)` from 0 to V - 1, which is
            not checked, and `padding_mask`, boolean `(B, T)`, True = real
            position.
        training: Boolean.

    Returns:
        Dict of `forward_graphs` and `backward_graphs`, each
        `(B, L, K, T, T)`: rows are receivers, in reading order.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> predictor = gk.GraphPredictor(
    ...     vocabulary_size=100, embedding_dim=16, num_heads=2, key_dim=4)
    >>> inputs = {"token_ids": np.array([[5, 6, 7]]),
    ...           "padding_mask": np.array([[True, True, True]])}
    >>> tuple(predictor(inputs)["forward_graphs"].shape)
    (1, 3, 2, 3, 3)

    Reference:
        Yang et al. 2018, Sec. 2.1, "Graph Predictor".
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim=512,
        num_heads=8,
        key_dim=None,
        kernel_size=3,
        num_conv_layers=4,
        filters=None,
        residual=False,
        num_graph_layers=3,
        threshold="query",
        threshold_initializer="zeros",
        rotary_dim=0,
        rotary_heads=None,
        activation="squared_relu",
        normalization="batch",
        dropout=0.0,
        embeddings_initializer=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        super().__init__(dtype=dtype, name=name)
        dtype = self.dtype_policy

        # === Layers ===
        self.make_embedding(
            vocabulary_size, embedding_dim, embeddings_initializer
        )
        key_dim = embedding_dim // 2 if key_dim is None else key_dim
        filters = embedding_dim if filters is None else filters
        if not isinstance(rotary_heads, dict):
            rotary_heads = dict.fromkeys(DIRECTIONS, rotary_heads)
        if set(rotary_heads) != set(DIRECTIONS):
            raise ValueError(
                f"A dict of `rotary_heads` must have the entries {DIRECTIONS}. "
                f"Received: rotary_heads={rotary_heads}"
            )
        self.convolutions = {
            direction: MaskedKeyQueryConv(
                filters,
                num_layers=num_conv_layers,
                kernel_size=kernel_size,
                direction=direction,
                normalization=normalization,
                residual=residual,
                dropout=dropout,
                dtype=dtype,
                name=f"{direction}_convolutions",
            )
            for direction in DIRECTIONS
        }
        self.projections = {
            direction: KeyQueryProjection(
                num_heads,
                key_dim,
                num_graph_layers=num_graph_layers,
                threshold=threshold,
                direction=direction,
                rotary_dim=rotary_dim,
                rotary_heads=rotary_heads[direction],
                threshold_initializer=threshold_initializer,
                dtype=dtype,
                name=f"{direction}_projection",
            )
            for direction in DIRECTIONS
        }
        self.graph = self.make_graph_layer(activation)

        # === Functional Model ===
        inputs = text_inputs(["token_ids", "padding_mask"])
        mask = inputs["padding_mask"]
        embedded = self.embed(inputs)
        factors = {}
        for direction, project in self.projections.items():
            keys, queries = self.convolutions[direction](
                embedded, padding_mask=mask
            )
            factors[f"{direction}_graphs"] = project(
                keys, queries, padding_mask=mask
            )
        self.set_graphs(inputs, factors, trainable)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.kernel_size = kernel_size
        self.num_conv_layers = num_conv_layers
        self.filters = filters
        self.residual = residual
        self.num_graph_layers = num_graph_layers
        self.threshold = threshold
        self.threshold_initializer = keras.initializers.get(
            threshold_initializer
        )
        self.rotary_dim = rotary_dim
        self.rotary_heads = {
            direction: projection.rotary_heads
            for direction, projection in self.projections.items()
        }
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout

    def layer_by_layer(
        self, embedded, padding_mask=None, training=None, positions=None
    ):
        """Returns the factors of each graph layer, see `Predictor`."""
        layers = {}
        for direction, projection in self.projections.items():
            keys, queries = self.convolutions[direction](
                embedded, padding_mask=padding_mask, training=training
            )
            layers[direction] = projection.layer_by_layer(
                keys, queries, padding_mask, (positions or {}).get(direction)
            )
        return layers

    def select(self, layers=None, heads=None):
        """Returns a smaller predictor, of some graph layers and heads.

        Its graphs are those of this predictor for the heads kept, in the
        order given: bit by bit on TensorFlow on a CPU, called or by `predict`.
        Compiled by XLA and on other backends and devices they may differ by
        rounding, about 1e-7. The embedding and the CNNs stay whole. It is a
        model of its own: it shares no weights with this one.

        Args:
            layers: Sequence of the numbers of the graph layers kept, from 1.
                Defaults to `None`, all.
            heads: Sequence of the numbers of the heads kept, from 1, the same
                in each layer; or one such sequence for each layer kept, all
                of one length; or a dict of either by direction. Defaults to
                `None`, all.

        Returns:
            A `GraphPredictor`.

        Raises:
            ValueError: If there is no such layer or head, one is given twice,
                or the layers do not keep as many heads each.

        Example:

        >>> import glomo_keras as gk
        >>> predictor = gk.GraphPredictor.from_preset("glomo_small_en")
        >>> small = predictor.select(layers=[1, 3], heads=[2, 5, 7])
        >>> small.num_graph_layers, small.num_heads
        (2, 3)
        >>> other = predictor.select(layers=[1, 3], heads=[[2, 5], [1, 8]])
        """
        return select_heads(self, layers, heads)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "num_conv_layers": self.num_conv_layers,
            "filters": self.filters,
            "residual": self.residual,
            "threshold_initializer": keras.initializers.serialize(
                self.threshold_initializer
            ),
            "rotary_dim": self.rotary_dim,
            "rotary_heads": self.rotary_heads,
            "normalization": self.normalization,
            "dropout": self.dropout,
        }
