import math

import keras
from keras import ops

from glomo_keras.layers import PixelWindowDecoder
from glomo_keras.models._preset_models import PresetPretrainer
from glomo_keras.models.feature_predictor import FeaturePredictor
from glomo_keras.models.image_graph_predictor import ImageGraphPredictor
from glomo_keras.ops.edges import admissible_edges
from glomo_keras.ops.edges import edge_statistics
from glomo_keras.ops.graphs import graph_rows
from glomo_keras.ops.pixels import CHANNELS
from glomo_keras.ops.pixels import to_units
from glomo_keras.ops.pixels import window_indices
from glomo_keras.utils import validation as check

STATISTICS_UNITS = 512


@keras.saving.register_keras_serializable(package="glomo_keras")
class PixelPretrainer(PresetPretrainer):
    """g and f trained together to predict windows of pixels, Sec. 3.5.

    The loss is the cross entropy per predicted channel of a pixel, in nats,
    the mean of the directions; `bits_per_dim` is the same in bits. Compile
    with an optimizer only, fit on a dataset of input dicts.

    In training the loss is taken at `num_positions` pixels drawn per batch and
    direction, or at all if None; in evaluation always at all. The last graph
    layer is computed only at these.

    Args:
        embedding_dim: integer, d.
        num_heads: integer, K; divides d.
        key_dim: integer, C per head; `embedding_dim // 2` if None.
        kernel_size: odd integer, side of the convolutions.
        num_conv_layers: integer, convolutions in each CNN.
        num_graph_layers: integer, L.
        bidirectional: boolean, both directions or forward alone.
        coordinates: boolean, see `ImageGraphPredictor`.
        max_shift: integer, see `ImageGraphPredictor`.
        window_size: integer, see `PixelWindowDecoder`.
        anchor: `"centre"` or `"corner"`, see `PixelWindowDecoder`.
        channel_order: the letters r, g and b in any order.
        num_positions: integer or None, see above.
        num_decoder_layers: integer, GRU layers of the decoder.
        threshold: `"query"` or `"scalar"`, see `SquaredReLUGraph`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`.
        composition: `"gru"` or `"residual"`, see `FeatureComposition`.
        share_cell: boolean, one composition for all layers of a direction.
        normalization: `"layer"`, `"batch"` or `"none"`, in the CNNs.
        dropout: float, on the channels of the CNNs' input.
        trainable_graphs: boolean; False freezes the graph predictor alone.
        seed: integer, of the positions.
        dtype: dtype policy.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: dict of `images`, uint8 `(B, H, W, 3)`.
        training: boolean.

    Returns:
        Dict of scalars: `loss`, a loss for each direction (`forward_loss`);
        `edge_density` and `empty_rows`, shares among the admissible edges
        and rows of the batch's first image (its first 512 pixels; of the last
        layer the rows decoded), all layers, heads and directions.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> pretrainer = gk.PixelPretrainer(
    ...     embedding_dim=12, num_heads=2, key_dim=4)
    >>> pretrainer.compile("adam")
    >>> x = {"images": np.zeros((4, 5, 5, 3), "uint8")}
    >>> history = pretrainer.fit(x, batch_size=2, verbose=0)

    Reference:
        Yang et al. 2018, Sec. 2.1 and 3.5.
    """

    def __init__(
        self,
        embedding_dim=192,
        num_heads=8,
        key_dim=None,
        kernel_size=3,
        num_conv_layers=4,
        num_graph_layers=3,
        bidirectional=False,
        coordinates=True,
        max_shift=0,
        window_size=3,
        anchor="centre",
        channel_order=CHANNELS,
        num_positions=None,
        num_decoder_layers=1,
        threshold="query",
        activation="squared_relu",
        composition="gru",
        share_cell=True,
        normalization="layer",
        dropout=0.0,
        trainable_graphs=True,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        if num_positions is not None:
            check.check_positive(num_positions=num_positions)
        if embedding_dim % num_heads:
            raise ValueError(
                "`num_heads` must divide `embedding_dim`: each head weighs a "
                f"slice of the features. Received: num_heads={num_heads}, "
                f"embedding_dim={embedding_dim}"
            )
        self.window_size = window_size
        self.anchor = anchor
        self.channel_order = channel_order
        self.num_positions = num_positions
        self.num_decoder_layers = num_decoder_layers
        self.composition = composition
        self.share_cell = share_cell
        self.seed = seed
        self.graph_predictor = ImageGraphPredictor(
            embedding_dim=embedding_dim,
            num_heads=num_heads,
            key_dim=key_dim,
            kernel_size=kernel_size,
            num_conv_layers=num_conv_layers,
            num_graph_layers=num_graph_layers,
            bidirectional=bidirectional,
            coordinates=coordinates,
            max_shift=max_shift,
            threshold=threshold,
            activation=activation,
            normalization=normalization,
            dropout=dropout,
            dtype=dtype,
            name="graph_predictor",
        )
        if not trainable_graphs:
            self.graph_predictor.trainable = False
        self.directions = self.graph_predictor.directions
        self.feature_predictor = FeaturePredictor(
            embedding_dim,
            num_heads,
            self.graph_predictor.key_dim,
            num_graph_layers=num_graph_layers,
            activation=activation,
            composition=composition,
            share_cell=share_cell,
            directions=self.directions,
            dtype=dtype,
            name="feature_predictor",
        )
        self.decoders = {
            direction: PixelWindowDecoder(
                window_size,
                anchor,
                num_layers=num_decoder_layers,
                channel_order=channel_order,
                direction=direction,
                dtype=dtype,
                name=f"{direction}_decoder",
            )
            for direction in self.directions
        }
        for decoder in self.decoders.values():
            decoder.build(
                (None, None, embedding_dim),
                (None, None, None, 3),
                self._table().shape,
            )
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.trackers = {
            name: keras.metrics.Mean(name=name)
            for name in self._tracked_values()
        }
        self.built = True

    def _tracked_values(self):
        bits = [f"{d}_bits_per_dim" for d in self.directions]
        one = [] if len(bits) == 1 else bits
        return ["bits_per_dim", *one, "edge_density", "empty_rows"]

    def _table(self):
        return ops.convert_to_tensor(self.graph_predictor.pixel_embedding.table)

    def call(self, inputs, training=None):
        images = inputs["images"]
        height, width = ops.shape(images)[1:3]
        positions = {
            direction: self._draw_positions(height * width, training)
            for direction in self.directions
        }
        graphs, logits = self._predict(images, positions, training)
        losses = {
            f"{direction}_loss": _mean_loss(
                *self._target_losses(
                    direction, images, logits[direction], positions[direction]
                )
            )
            for direction in self.directions
        }
        loss = sum(losses.values()) / len(losses)
        return {"loss": loss, **losses, **self._statistics(graphs)}

    def logits(self, images, positions=None):
        """What is predicted around each pixel, in inference mode.

        Args:
            images: integer tensor `(B, H, W, 3)`.
            positions: integer tensor `(N,)`, units in raster order; all if
                None.

        Returns:
            Dict of `forward` and, if bidirectional, `backward`: float32
            `(B, N, D, 3, 256)`, see `PixelWindowDecoder`.
        """
        images = ops.convert_to_tensor(images)
        positions = dict.fromkeys(self.directions, positions)
        return self._predict(images, positions, training=False)[1]

    def target_losses(self, images, positions=None):
        """The cross entropy of each value around each pixel.

        Args:
            images: integer tensor `(B, H, W, 3)`.
            positions: integer tensor `(N,)`, units in raster order; all if
                None.

        Returns:
            Dict of `forward` and, if bidirectional, `backward`, each a pair:
            float32 `(B, N, D, 3)`, nats; boolean `(N, D)`, whether the pixel
            predicted is inside the image.
        """
        images = ops.convert_to_tensor(images)
        return {
            direction: self._target_losses(direction, images, logits, positions)
            for direction, logits in self.logits(images, positions).items()
        }

    def _draw_positions(self, length, training):
        if not training or self.num_positions is None:
            return None
        drawn = keras.random.uniform(
            (self.num_positions,), seed=self.seed_generator
        ) * ops.cast(length, "float32")
        return ops.minimum(ops.cast(drawn, "int32"), length - 1)

    def _predict(self, images, positions, training):
        """Graphs in factored form and logits of each direction."""
        embedded = self.graph_predictor.embed(images)
        graphs = self.graph_predictor.layers_of(embedded, training, positions)
        logits = {}
        for direction in self.directions:
            *_, features = self.feature_predictor.features_of(
                direction,
                to_units(embedded),
                graphs[direction],
                None,
                positions[direction],
            )
            logits[direction] = self.decoders[direction](
                features, images, self._table(), positions[direction]
            )
        return graphs, logits

    def _target_losses(self, direction, images, logits, positions):
        height, width = ops.shape(images)[1:3]
        if positions is None:
            positions = ops.arange(height * width)
        indices, inside = window_indices(
            positions, self.decoders[direction].offsets, height, width
        )
        targets = ops.take(to_units(images), indices, axis=1)
        losses = ops.sparse_categorical_crossentropy(
            ops.cast(targets, "int32"), logits, from_logits=True
        )
        return losses, inside

    def _statistics(self, graphs):
        """Edge density and empty rows of the batch's first pixels."""
        statistics = [
            self._layer_statistics(direction, layer)
            for direction in self.directions
            for layer in graphs[direction]
        ]
        densities, empty = zip(*statistics, strict=True)
        return {
            "edge_density": sum(densities) / len(densities),
            "empty_rows": sum(empty) / len(empty),
        }

    def _layer_statistics(self, direction, graph):
        some = {
            name: ops.stop_gradient(graph[name][:1, :, :STATISTICS_UNITS])
            for name in ("queries", "keys", "thresholds")
        }
        units = rows = ops.arange(ops.shape(some["keys"])[2])
        if "positions" in graph:
            rows = some["positions"] = graph["positions"][:STATISTICS_UNITS]
        weights, _ = graph_rows(
            some,
            rows,
            None,
            padding_mask=None,
            direction=direction,
            activation=self.graph_predictor.activation,
        )
        return edge_statistics(
            weights, admissible_edges(rows, units, direction)
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return y_pred["loss"]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for name, tracker in self.trackers.items():
            if name.endswith("bits_per_dim"):
                loss = y_pred[name.replace("bits_per_dim", "loss")]
                tracker.update_state(loss / math.log(2))
            else:
                tracker.update_state(y_pred[name])
        return self.get_metrics_result()

    def get_config(self):
        predictor = self.graph_predictor.get_config()
        for name in ("name", "trainable"):
            predictor.pop(name)
        return {
            **predictor,
            "window_size": self.window_size,
            "anchor": self.anchor,
            "channel_order": self.channel_order,
            "num_positions": self.num_positions,
            "num_decoder_layers": self.num_decoder_layers,
            "composition": self.composition,
            "share_cell": self.share_cell,
            "seed": self.seed,
            "name": self.name,
            "trainable": self.trainable,
            "trainable_graphs": self.graph_predictor.trainable,
        }


def _mean_loss(losses, inside):
    """The mean over the values inside the image."""
    weights = ops.cast(inside, losses.dtype)[None, :, :, None]
    weights = ops.broadcast_to(weights, ops.shape(losses))
    return ops.divide_no_nan(ops.sum(losses * weights), ops.sum(weights))
