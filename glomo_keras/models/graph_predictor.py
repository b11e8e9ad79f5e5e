import json
import pathlib

import keras
from keras import ops

from glomo_keras.layers import FeatureComposition
from glomo_keras.layers import GraphWeightedSum
from glomo_keras.layers import MaskedKeyQueryConv
from glomo_keras.layers import SquaredReLUGraph
from glomo_keras.layers.graph._materialize_graph import _MaterializeGraph
from glomo_keras.models._preset_models import PresetPredictor
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.graphs import FACTORS
from glomo_keras.ops.graphs import split_layers
from glomo_keras.utils import validation as check

ASSETS = "tokens.json"


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphPredictor(PresetPredictor):
    """g, the network that is pretrained, frozen and transferred.

    For each direction a key CNN and a query CNN over the token embeddings,
    and from their output the graphs of all layers and heads (Eq. 1). The
    networks of the two directions share nothing but the embedding.

    `predictor(inputs)` materialises the graphs, `24 T^2` numbers a text and
    direction at L = 3, K = 8; `predictor.factored()(inputs)` gives their
    factors, linear in T, which every layer that takes a graph takes too.

    A predictor with `trainable=False` (what `from_preset` returns) runs in
    inference mode wherever it stands.

    Args:
        vocabulary_size: integer, V.
        embedding_dim: integer, d, also the channels of the CNNs.
        num_heads: integer, K.
        key_dim: integer, C per head; `embedding_dim // 2` if None.
        kernel_size: integer, width of the convolutions.
        num_conv_layers: integer, convolutions in each CNN.
        num_graph_layers: integer, L.
        threshold: `"query"` or `"scalar"`, see `SquaredReLUGraph`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`.
        normalization: `"batch"`, `"layer"` or `"none"`, in the CNNs.
        dropout: float, on the embeddings, for a whole sequence.
        embeddings_initializer: initializer of the embedding; None for the
            released code's, uniform in [-0.1, 0.1]. The logits of the tied
            softmax start the smaller the smaller it is.
        coupled: boolean. True is the ablation without g: there are no CNNs,
            and layer l's graphs are computed from the features F^(l-1),
            which the predictor then has to compute itself.
        composition: `"gru"` or `"residual"`; used when coupled.
        share_cell: boolean, one composition for all layers; when coupled.
        dtype: dtype policy.
        name: string.
        trainable: boolean.

    Call arguments:
        inputs: dict of `token_ids`, int32 `(B, T)`, and `padding_mask`,
            boolean `(B, T)`, True = real unit.
        training: boolean.

    Returns:
        Dict of `forward_graphs` and `backward_graphs`, each
        `(B, L, K, T, T)`: rows are receivers, in reading order.

    Raises:
        ValueError: an argument out of its range.

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
        num_graph_layers=3,
        threshold="query",
        activation="squared_relu",
        normalization="batch",
        dropout=0.0,
        embeddings_initializer=None,
        coupled=False,
        composition="gru",
        share_cell=True,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(
            vocabulary_size=vocabulary_size,
            embedding_dim=embedding_dim,
            num_graph_layers=num_graph_layers,
        )
        key_dim = embedding_dim // 2 if key_dim is None else key_dim

        if embeddings_initializer is None:
            embeddings_initializer = keras.initializers.RandomUniform(-0.1, 0.1)

        # === Layers ===
        self.token_embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=embeddings_initializer,
            dtype=dtype,
            name="token_embedding",
        )
        graph_options = {
            "num_heads": num_heads,
            "key_dim": key_dim,
            "num_graph_layers": 1 if coupled else num_graph_layers,
            "threshold": threshold,
            "activation": activation,
            "dtype": dtype,
        }
        self.graphs = {
            direction: [
                SquaredReLUGraph(
                    direction=direction,
                    name=f"{direction}_graph_{index}",
                    **graph_options,
                )
                for index in range(num_graph_layers if coupled else 1)
            ]
            for direction in DIRECTIONS
        }
        self.convolutions = {
            direction: MaskedKeyQueryConv(
                embedding_dim,
                num_layers=num_conv_layers,
                kernel_size=kernel_size,
                direction=direction,
                normalization=normalization,
                dropout=dropout,
                dtype=dtype,
                name=f"{direction}_convolutions",
            )
            for direction in DIRECTIONS
            if not coupled
        }
        self.sums = {
            direction: GraphWeightedSum(
                direction, activation, dtype=dtype, name=f"{direction}_sum"
            )
            for direction in DIRECTIONS
            if coupled
        }
        self.compositions = {
            direction: build_compositions(
                num_graph_layers - 1, composition, share_cell, direction, dtype
            )
            for direction in DIRECTIONS
            if coupled
        }
        self.coupled = coupled

        # === Functional Model ===
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input(
                (None,), dtype="bool", name="padding_mask"
            ),
        }
        embedded = self.token_embedding(inputs["token_ids"])
        factors = self.graphs_of(embedded, inputs["padding_mask"])
        graphs = {
            f"{direction}_graphs": _MaterializeGraph(
                direction, activation, dtype=dtype, name=f"{direction}_graphs"
            )(factors[f"{direction}_graphs"])
            for direction in DIRECTIONS
        }
        super().__init__(inputs=inputs, outputs=graphs, name=name)
        self.trainable = trainable
        self._factored_model = [
            keras.Model(inputs, factors, name=f"{self.name}_factored")
        ]

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.kernel_size = kernel_size
        self.num_conv_layers = num_conv_layers
        self.num_graph_layers = num_graph_layers
        self.threshold = threshold
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout
        self.composition = composition
        self.share_cell = share_cell
        self._vocabulary_text = None
        self.tokenizer_config = None

    def layers_of(self, embedded, padding_mask, training=None, positions=None):
        """The graphs of embedded units layer by layer, in factored form.

        Args:
            embedded: tensor `(B, T, d)`.
            padding_mask: boolean tensor `(B, T)`.
            training: boolean.
            positions: dict of an integer tensor `(N,)` or None for each
                direction, the rows wanted of its last layer.

        Returns:
            Dict of `forward` and `backward`, each what
            `SquaredReLUGraph.layers_of` returns.
        """
        layers = {}
        for direction in DIRECTIONS:
            if self.coupled:
                layers[direction] = split_layers(
                    self._coupled_graphs(direction, embedded, padding_mask)
                )
                continue
            keys, queries = self.convolutions[direction](
                embedded, padding_mask=padding_mask, training=training
            )
            layers[direction] = self.graphs[direction][0].layers_of(
                keys, queries, padding_mask, (positions or {}).get(direction)
            )
        return layers

    def graphs_of(self, embedded, padding_mask, training=None):
        """The graphs of embedded units, in factored form.

        Args:
            embedded: tensor `(B, T, d)`.
            padding_mask: boolean tensor `(B, T)`.
            training: boolean.

        Returns:
            Dict of `forward_graphs` and `backward_graphs`, as `factored`.
        """
        return {
            f"{direction}_graphs": self._coupled_graphs(
                direction, embedded, padding_mask
            )
            if self.coupled
            else self._own_graphs(direction, embedded, padding_mask, training)
            for direction in DIRECTIONS
        }

    def _own_graphs(self, direction, embedded, padding_mask, training):
        keys, queries = self.convolutions[direction](
            embedded, padding_mask=padding_mask, training=training
        )
        return self.graphs[direction][0](
            keys, queries, padding_mask=padding_mask, factored=True
        )

    def _coupled_graphs(self, direction, features, padding_mask):
        factors = []
        compositions = self.compositions[direction]
        for layer, graph in enumerate(self.graphs[direction]):
            factors.append(
                graph(features, features, padding_mask, factored=True)
            )
            if layer < len(compositions):
                messages = self.sums[direction](
                    features,
                    split_layers(factors[-1])[0],
                    padding_mask=padding_mask,
                )
                features = compositions[layer](features, messages)
        joined = {
            name: ops.concatenate([f[name] for f in factors], axis=1)
            for name in FACTORS
        }
        return {**joined, "padding_mask": factors[0]["padding_mask"]}

    def factored(self):
        """This predictor with the factored form of the graphs as output.

        Returns:
            A `keras.Model` that shares this model's layers. Its outputs are
            `forward_graphs` and `backward_graphs`, each a dict of `queries`
            and `keys` `(B, L, K, T, C)`, `thresholds` `(B, L, K, T)` and
            `padding_mask` `(B, T)`. A model that is to be saved holds this or
            the predictor itself, not both: Keras stores weights that two
            models in it share with one of them, and cannot read the other.
        """
        return self._factored_model[0]

    @property
    def vocabulary(self):
        """List of V tokens in the order of their ids, or None."""
        if self._vocabulary_text is None:
            return None
        return self._vocabulary_text.split("\n")

    @vocabulary.setter
    def vocabulary(self, tokens):
        if tokens is not None and len(tokens) != self.vocabulary_size:
            raise ValueError(
                f"The vocabulary must have {self.vocabulary_size} tokens, as "
                f"many as the embedding. Received: {len(tokens)} tokens"
            )
        for token in tokens or ():
            if "\n" in token:
                raise ValueError(
                    "A token cannot contain a newline, which separates the "
                    f"tokens of a vocabulary file. Received: {token!r}"
                )
        self._vocabulary_text = None if tokens is None else "\n".join(tokens)

    def save_assets(self, dir_path):
        """Writes vocabulary and tokenizer into a `.keras` file."""
        if self._vocabulary_text is None:
            return
        assets = {
            "vocabulary": self.vocabulary,
            "tokenizer": self.tokenizer_config,
        }
        (pathlib.Path(dir_path) / ASSETS).write_text(json.dumps(assets))

    def load_assets(self, dir_path):
        """Reads what `save_assets` wrote, if it is there."""
        path = dir_path and pathlib.Path(dir_path) / ASSETS
        if path and path.exists():
            assets = json.loads(path.read_text())
            self.vocabulary = assets["vocabulary"]
            self.tokenizer_config = assets["tokenizer"]

    def get_config(self):
        names = (
            "vocabulary_size",
            "embedding_dim",
            "num_heads",
            "key_dim",
            "kernel_size",
            "num_conv_layers",
            "num_graph_layers",
            "threshold",
            "activation",
            "normalization",
            "dropout",
            "coupled",
            "composition",
            "share_cell",
            "name",
            "trainable",
        )
        config = {name: getattr(self, name) for name in names}
        config["embeddings_initializer"] = keras.initializers.serialize(
            self.token_embedding.embeddings_initializer
        )
        dtype = keras.dtype_policies.serialize(
            self.token_embedding.dtype_policy
        )
        return {**config, "dtype": dtype}


def build_compositions(count, composition, share_cell, direction, dtype):
    """The functions v of `count` graph layers: one for all, or one each."""
    made = [
        FeatureComposition(
            composition, dtype=dtype, name=f"{direction}_composition_{index}"
        )
        for index in range(min(count, 1) if share_cell else count)
    ]
    return made * count if share_cell else made
