import functools

import keras
from keras import ops

from glomo_keras.layers import ContextDecoder
from glomo_keras.metrics import Perplexity
from glomo_keras.models._preset_models import PresetPretrainer
from glomo_keras.models.feature_predictor import FeaturePredictor
from glomo_keras.models.graph_predictor import GraphPredictor
from glomo_keras.ops.context import context_targets
from glomo_keras.ops.cross_entropy import tied_cross_entropy
from glomo_keras.ops.cross_entropy import tied_cross_entropy_value
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.edges import admissible_edges
from glomo_keras.ops.edges import edge_statistics
from glomo_keras.ops.frequency import scale_gradient_by_frequency
from glomo_keras.ops.graphs import graph_rows
from glomo_keras.utils import validation as check

STATISTICS_UNITS = 512


@keras.saving.register_keras_serializable(package="glomo_keras")
class ContextPretrainer(PresetPretrainer):
    """g and f trained together to predict each unit's context, Eq. 3.

    The loss is the mean of the two directions' cross entropies per predicted
    unit, in nats. It is computed inside the model, since the softmax is tied
    to the embedding and no array of logits is to be kept: compile with an
    optimizer only, fit on a dataset of input dicts.

    In training the loss is taken at `num_positions` positions drawn per batch
    and direction, with replacement, from those that have D units of context
    (the released code), or at all positions if None (the paper); in
    evaluation always at all. The last graph layer is computed only at these.

    Args:
        vocabulary_size: integer, V.
        embedding_dim: integer, d.
        num_heads: integer, K; divides d.
        key_dim: integer, C per head; `embedding_dim // 2` if None.
        kernel_size: integer, width of the convolutions.
        num_conv_layers: integer, convolutions in each CNN.
        num_graph_layers: integer, L.
        context_length: integer, D, units predicted on each side.
        num_positions: integer or None, see above.
        num_candidates: integer or None. In training the sum of the softmax
            is estimated from the `num_candidates // 2` most frequent words
            and as many drawn from the others, see
            `ops.cross_entropy.draw_candidates`; ids must be in the order of
            frequency, as vocabularies of this package are. None: all words.
        num_decoder_layers: integer, GRU layers of the decoder.
        threshold: `"query"` or `"scalar"`, see `SquaredReLUGraph`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`.
        composition: `"gru"` or `"residual"`, see `FeatureComposition`.
        share_cell: boolean, one composition for all layers of a direction.
        normalization: `"batch"`, `"layer"` or `"none"`, in the CNNs.
        dropout: float, on the embeddings before the CNNs.
        embeddings_initializer: see `GraphPredictor`.
        coupled: boolean, the ablation in which layer l's graphs are computed
            from the features F^(l-1) instead of by a network of their own.
        scale_embedding_gradient: boolean, whether in training the gradient
            of each token's lookups is divided by its count in the batch (the
            released code).
        trainable_graphs: boolean; False freezes the graph predictor alone.
        seed: integer, of the positions and candidates.
        dtype: dtype policy.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: dict of `token_ids`, int32 `(B, T)`, and `padding_mask`,
            boolean `(B, T)`, True = real unit.
        training: boolean.

    Returns:
        Dict of scalars: `loss`, `forward_loss`, `backward_loss`;
        `edge_density` and `empty_rows`, shares among the admissible edges
        and rows of the batch's first sequence (its first 512 units; of the last
        layer the rows decoded), all layers, heads and both directions.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> pretrainer = gk.ContextPretrainer(
    ...     vocabulary_size=50, embedding_dim=16, num_heads=2, key_dim=4)
    >>> pretrainer.compile("adam")
    >>> ids = np.arange(40).reshape(4, 10)
    >>> x = {"token_ids": ids, "padding_mask": np.ones((4, 10), bool)}
    >>> history = pretrainer.fit(x, batch_size=2, verbose=0)

    Reference:
        Yang et al. 2018, Sec. 2.1 and 2.3.
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
        context_length=3,
        num_positions=None,
        num_candidates=None,
        num_decoder_layers=2,
        threshold="query",
        activation="squared_relu",
        composition="gru",
        share_cell=True,
        normalization="batch",
        dropout=0.0,
        embeddings_initializer=None,
        coupled=False,
        scale_embedding_gradient=False,
        trainable_graphs=True,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        if num_positions is not None:
            check.check_positive(num_positions=num_positions)
        if num_candidates is not None:
            check.check_positive(num_candidates=num_candidates)
        if embedding_dim % num_heads:
            raise ValueError(
                "`num_heads` must divide `embedding_dim`: each head weighs a "
                f"slice of the features. Received: num_heads={num_heads}, "
                f"embedding_dim={embedding_dim}"
            )
        self.context_length = context_length
        self.num_positions = num_positions
        self.num_candidates = num_candidates
        self.num_decoder_layers = num_decoder_layers
        self.scale_embedding_gradient = scale_embedding_gradient
        self.seed = seed
        self.graph_predictor = GraphPredictor(
            vocabulary_size,
            embedding_dim=embedding_dim,
            num_heads=num_heads,
            key_dim=key_dim,
            kernel_size=kernel_size,
            num_conv_layers=num_conv_layers,
            num_graph_layers=num_graph_layers,
            threshold=threshold,
            activation=activation,
            normalization=normalization,
            dropout=dropout,
            embeddings_initializer=embeddings_initializer,
            coupled=coupled,
            composition=composition,
            share_cell=share_cell,
            dtype=dtype,
            name="graph_predictor",
        )
        if not trainable_graphs:
            self.graph_predictor.trainable = False
        self.feature_predictor = FeaturePredictor(
            embedding_dim,
            num_heads,
            self.graph_predictor.key_dim,
            num_graph_layers=num_graph_layers,
            activation=activation,
            composition=composition,
            share_cell=share_cell,
            compositions=self.graph_predictor.compositions,
            dtype=dtype,
            name="feature_predictor",
        )
        self.decoders = {
            direction: ContextDecoder(
                context_length,
                num_layers=num_decoder_layers,
                direction=direction,
                dtype=dtype,
                name=f"{direction}_decoder",
            )
            for direction in DIRECTIONS
        }
        for decoder in self.decoders.values():
            decoder.build(
                (None, None, embedding_dim), (None, None, embedding_dim)
            )
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.trackers = {
            "forward_perplexity": Perplexity(name="forward_perplexity"),
            "backward_perplexity": Perplexity(name="backward_perplexity"),
            "edge_density": keras.metrics.Mean(name="edge_density"),
            "empty_rows": keras.metrics.Mean(name="empty_rows"),
        }
        self.built = True

    def call(self, inputs, training=None):
        token_ids, padding_mask = inputs["token_ids"], inputs["padding_mask"]
        length = ops.shape(token_ids)[1]
        positions = {
            direction: self._draw_positions(direction, length, training)
            for direction in DIRECTIONS
        }
        return self._context_losses(
            token_ids,
            padding_mask,
            positions,
            training,
            functools.partial(
                tied_cross_entropy,
                num_candidates=self.num_candidates,
                seed=self.seed_generator,
            )
            if training
            else tied_cross_entropy_value,
        )

    def context_loss(
        self, token_ids, positions=None, padding_mask=None, training=False
    ):
        """The losses at given positions.

        Args:
            token_ids: integer tensor `(B, T)`.
            positions: dict of `forward` and `backward` integer tensors
                `(N,)`, each in its direction's own reading order: position p
                of `backward` is unit T - 1 - p. All positions if None.
            padding_mask: boolean tensor `(B, T)`; all real if None.
            training: boolean.

        Returns:
            Dict of the scalars `forward_loss`, `backward_loss` and `loss`,
            their mean, in nats per predicted unit. Only `loss` has a
            gradient.
        """
        token_ids = ops.cast(ops.convert_to_tensor(token_ids), "int32")
        length = ops.shape(token_ids)[1]
        if padding_mask is None:
            padding_mask = ops.ones_like(token_ids, dtype="bool")
        in_order = {direction: None for direction in DIRECTIONS}
        if positions is not None:
            forward, backward = (
                ops.cast(ops.convert_to_tensor(positions[d]), "int32")
                for d in DIRECTIONS
            )
            in_order = {"forward": forward, "backward": length - 1 - backward}
        losses = self._context_losses(
            token_ids,
            ops.convert_to_tensor(padding_mask),
            in_order,
            training,
            tied_cross_entropy,
        )
        return {
            name: losses[name]
            for name in ("forward_loss", "backward_loss", "loss")
        }

    def features(self, inputs):
        """Embeddings and features of all layers, in inference mode.

        Args:
            inputs: dict as for calling the model.

        Returns:
            Dict of `embeddings` `(B, T, d)`, `forward_features` and
            `backward_features`, each `(B, L, T, d)`, in reading order.
        """
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        padding_mask = inputs["padding_mask"]
        embedded = self.graph_predictor.token_embedding(inputs["token_ids"])
        graphs = self.graph_predictor.graphs_of(
            embedded, padding_mask, training=False
        )
        features = self.feature_predictor(
            {"embeddings": embedded, "padding_mask": padding_mask, **graphs}
        )
        return {"embeddings": embedded, **features}

    def _draw_positions(self, direction, length, training):
        """Positions in reading order that have D units of context."""
        if not training or self.num_positions is None:
            return None
        candidates = ops.maximum(length - self.context_length, 1)
        drawn = keras.random.uniform(
            (self.num_positions,), seed=self.seed_generator
        ) * ops.cast(candidates, "float32")
        drawn = ops.minimum(ops.cast(drawn, "int32"), candidates - 1)
        return drawn if direction == "forward" else length - 1 - drawn

    def _context_losses(
        self, token_ids, padding_mask, positions, training, entropy
    ):
        embedded = self.graph_predictor.token_embedding(token_ids)
        if training and self.scale_embedding_gradient:
            embedded = scale_gradient_by_frequency(
                embedded,
                token_ids,
                self.graph_predictor.vocabulary_size,
                padding_mask,
            )
        graphs = self.graph_predictor.layers_of(
            embedded, padding_mask, training=training, positions=positions
        )
        decoded = {
            direction: self._decode(
                direction,
                token_ids,
                embedded,
                graphs[direction],
                padding_mask,
                positions[direction],
            )
            for direction in DIRECTIONS
        }
        return {
            **self._shared_softmax(decoded, entropy),
            **self._statistics(graphs),
        }

    def _decode(
        self, direction, token_ids, embedded, graphs, padding_mask, positions
    ):
        """Of each unit that is predicted: states, target and weight.

        Returns:
            Tensors `(R, d)`, `(R,)` and `(R,)`; the weights sum to 1, or to
            0 where there is nothing to predict.
        """
        *_, features = self.feature_predictor.features_of(
            direction, embedded, graphs, padding_mask, positions
        )
        if positions is None:
            positions = ops.arange(ops.shape(token_ids)[1], dtype="int32")
        states = self.decoders[direction](features, embedded, positions)
        targets, weights = context_targets(
            token_ids,
            padding_mask,
            positions,
            self.context_length,
            direction,
        )
        return (
            ops.reshape(states, (-1, states.shape[-1])),
            ops.reshape(targets, (-1,)),
            ops.divide_no_nan(ops.reshape(weights, (-1,)), ops.sum(weights)),
        )

    def _shared_softmax(self, decoded, entropy):
        """The losses of both directions, by one softmax.

        Its weights are around 1, for float16, whose smallest number is not
        far below the share of a row in the mean.
        """
        forward, backward = (decoded[direction] for direction in DIRECTIONS)
        states, targets, weights = (
            ops.concatenate(pair)
            for pair in zip(forward, backward, strict=True)
        )
        embeddings = ops.convert_to_tensor(
            self.graph_predictor.token_embedding.embeddings
        )
        count = ops.shape(weights)[0]
        count = ops.cast(count, "float32")
        total, parts = entropy(
            states, ops.cast(embeddings, states.dtype), targets, count * weights
        )
        middle = ops.shape(forward[1])[0]
        return {
            "loss": 0.5 * total / count,
            "forward_loss": ops.sum(parts[:middle]) / count,
            "backward_loss": ops.sum(parts[middle:]) / count,
        }

    def _statistics(self, graphs):
        """Edge density and empty rows of the batch's first units."""
        statistics = [
            self._layer_statistics(direction, layer)
            for direction in DIRECTIONS
            for layer in graphs[direction]
        ]
        densities, empty = zip(*statistics, strict=True)
        return {
            "edge_density": sum(densities) / len(densities),
            "empty_rows": sum(empty) / len(empty),
        }

    def _layer_statistics(self, direction, graph):
        some = {
            "queries": graph["queries"][:1, :, :STATISTICS_UNITS],
            "keys": graph["keys"][:1, :, :STATISTICS_UNITS],
            "thresholds": graph["thresholds"][:1, :, :STATISTICS_UNITS],
        }
        some = keras.tree.map_structure(ops.stop_gradient, some)
        mask = graph["padding_mask"][:1, :STATISTICS_UNITS]
        units = rows = ops.arange(ops.shape(mask)[1])
        if "positions" in graph:
            rows = some["positions"] = graph["positions"][:STATISTICS_UNITS]
        weights, _ = graph_rows(
            some,
            rows,
            None,
            padding_mask=mask,
            direction=direction,
            activation=self.graph_predictor.activation,
        )
        allowed = admissible_edges(rows, units, direction, mask)
        return edge_statistics(weights, allowed)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return y_pred["loss"]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for name, tracker in self.trackers.items():
            tracker.update_state(y_pred[name.replace("perplexity", "loss")])
        return self.get_metrics_result()

    def get_config(self):
        predictor = self.graph_predictor.get_config()
        for name in ("name", "trainable"):
            predictor.pop(name)
        return {
            **predictor,
            "context_length": self.context_length,
            "num_positions": self.num_positions,
            "num_candidates": self.num_candidates,
            "num_decoder_layers": self.num_decoder_layers,
            "scale_embedding_gradient": self.scale_embedding_gradient,
            "seed": self.seed,
            "name": self.name,
            "trainable": self.trainable,
            "trainable_graphs": self.graph_predictor.trainable,
        }
