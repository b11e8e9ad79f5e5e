import keras
from keras import ops

from glomo_keras.layers import PixelWindowDecoder
from glomo_keras.metrics import BitsPerDimension
from glomo_keras.models.image_graph_predictor import ImageGraphPredictor
from glomo_keras.models.pretrainer import Pretrainer
from glomo_keras.ops.pixels import CHANNELS
from glomo_keras.ops.pixels import flatten_pixels
from glomo_keras.ops.pixels import window_indices


@keras.saving.register_keras_serializable(package="glomo_keras")
class PixelPretrainer(Pretrainer):
    """Trains g and f together to predict windows of pixels, Sec. 3.5.

    The loss is the cross entropy per predicted channel of a pixel, in nats,
    the mean of the directions; `bits_per_dim` is the same in bits. Compile
    with an optimizer only, fit on a dataset of input dicts.

    In training the loss is taken at `num_positions` pixels drawn per batch
    and direction, or at all if None; in evaluation always at all. The last
    graph layer is computed only at these.

    Args:
        graph_predictor: `ImageGraphPredictor`, whose K divides d. It is
            trained where it is trainable.
        window_size: Integer, see `PixelWindowDecoder`. Defaults to `3`.
        anchor: `"centre"` or `"corner"`, see `PixelWindowDecoder`. Defaults
            to `"centre"`.
        channel_order: The letters r, g and b in any order. Defaults to
            `"rgb"`.
        num_positions: Integer or None, see above. Defaults to `None`.
        num_decoder_layers: Integer, GRU layers of the decoder. Defaults to
            `1`.
        messages, composition, share_cell, empty_row_weight: See
            `ContextPretrainer`.
        seed: Integer seed of the positions. Defaults to `None`.
        dtype, name, trainable: See `ContextPretrainer`.

    Call arguments:
        inputs: Dict of `images`, uint8 `(B, H, W, 3)`.
        training: Boolean.

    Returns:
        Dict of scalars: `loss`, for each direction a loss (`forward_loss`)
        and over how many values it is the mean (`forward_count`);
        `edge_density` and `empty_rows`, shares of the admissible edges and
        rows of the batch's first image (its first 512 pixels; of the last
        layer the rows decoded), over all layers, heads and directions; in
        training with an `empty_row_weight`, `row_shortfall`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> predictor = gk.ImageGraphPredictor(
    ...     embedding_dim=12, num_heads=2, key_dim=4)
    >>> pretrainer = gk.PixelPretrainer(predictor)
    >>> pretrainer.compile("adam")
    >>> x = {"images": np.zeros((4, 5, 5, 3), "uint8")}
    >>> history = pretrainer.fit(x, batch_size=2, verbose=0)

    Reference:
        Yang et al. 2018, Sec. 2.1 and 3.5.
    """

    def __init__(
        self,
        graph_predictor,
        window_size=3,
        anchor="centre",
        channel_order=CHANNELS,
        num_positions=None,
        num_decoder_layers=1,
        messages="slices",
        composition="gru",
        share_cell=True,
        empty_row_weight=0.0,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        if not isinstance(graph_predictor, ImageGraphPredictor):
            raise ValueError(
                "`graph_predictor` must be an ImageGraphPredictor. "
                f"Received: graph_predictor={graph_predictor}"
            )
        super().__init__(
            graph_predictor,
            num_positions,
            messages,
            composition,
            share_cell,
            empty_row_weight,
            seed,
            dtype,
            name,
        )
        width = graph_predictor.embedding_dim
        self.decoders = {
            direction: PixelWindowDecoder(
                window_size,
                anchor,
                num_layers=num_decoder_layers,
                channel_order=channel_order,
                direction=direction,
                dtype=self.dtype_policy,
                name=f"{direction}_decoder",
            )
            for direction in self.directions
        }
        for decoder in self.decoders.values():
            decoder.build(
                (None, None, width),
                (None, None, None, 3),
                self._table().shape,
            )
        self.trackers = self._make_trackers()
        self.built = True
        if not trainable:  # True would thaw a frozen predictor
            self.trainable = False

        # === Config ===
        self.window_size = window_size
        self.anchor = anchor
        self.channel_order = channel_order
        self.num_decoder_layers = num_decoder_layers

    def _make_trackers(self):
        trackers = {"loss": BitsPerDimension(name="bits_per_dim")}
        if len(self.directions) > 1:
            for direction in self.directions:
                trackers[f"{direction}_loss"] = BitsPerDimension(
                    name=f"{direction}_bits_per_dim"
                )
        for name in ("edge_density", "empty_rows"):
            trackers[name] = keras.metrics.Mean(name=name)
        return trackers

    def _table(self):
        return ops.convert_to_tensor(self.graph_predictor.pixel_embedding.table)

    def call(self, inputs, training=None):
        images = inputs["images"]
        height, width = ops.shape(images)[1:3]
        positions = {
            direction: self.draw_positions(height * width, training)
            for direction in self.directions
        }
        logits, statistics = self._predict(images, positions, training)
        means = {
            direction: _mean_loss(
                *self._target_losses(
                    direction, images, logits[direction], positions[direction]
                )
            )
            for direction in self.directions
        }
        losses = {f"{name}_loss": loss for name, (loss, _) in means.items()}
        counts = {f"{name}_count": count for name, (_, count) in means.items()}
        loss = sum(losses.values()) / len(losses)
        return {"loss": loss, **losses, **counts, **statistics}

    def logits(self, images, positions=None):
        """Returns what is predicted around each pixel, in inference mode.

        Args:
            images: Integer tensor `(B, H, W, 3)`.
            positions: Integer tensor `(N,)`, pixels in raster order. Defaults
                to `None`, all.

        Returns:
            Dict of `forward` and, if bidirectional, `backward`: float32
            `(B, N, D, 3, 256)`, see `PixelWindowDecoder`.
        """
        images = ops.convert_to_tensor(images)
        if positions is not None:
            positions = ops.cast(ops.convert_to_tensor(positions), "int32")
        positions = dict.fromkeys(self.directions, positions)
        return self._predict(images, positions, training=False)[0]

    def target_losses(self, images, positions=None):
        """Returns the cross entropy of each value around each pixel.

        Args:
            images: Integer tensor `(B, H, W, 3)`.
            positions: Integer tensor `(N,)`, pixels in raster order. Defaults
                to `None`, all.

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

    def _predict(self, images, positions, training):
        """Returns logits by direction, and how sparse the graphs are."""
        embedded = self.graph_predictor.embed({"images": images})
        features, statistics = self.layer_features(
            embedded, flatten_pixels(embedded), None, positions, training
        )
        logits = {
            direction: self.decoders[direction](
                features[direction][-1],
                images,
                self._table(),
                positions[direction],
            )
            for direction in self.directions
        }
        return logits, statistics

    def _target_losses(self, direction, images, logits, positions):
        height, width = ops.shape(images)[1:3]
        if positions is None:
            positions = ops.arange(height * width, dtype="int32")
        indices, inside = window_indices(
            positions, self.decoders[direction].offsets, height, width
        )
        targets = ops.take(flatten_pixels(images), indices, axis=1)
        losses = ops.sparse_categorical_crossentropy(
            ops.cast(targets, "int32"), logits, from_logits=True
        )  # (B, N, D, 3)
        return losses, inside

    def get_config(self):
        return {
            **super().get_config(),
            "window_size": self.window_size,
            "anchor": self.anchor,
            "channel_order": self.channel_order,
            "num_decoder_layers": self.num_decoder_layers,
        }


def _mean_loss(losses, inside):
    """Returns the mean over the values inside the image, and their number."""
    weights = ops.cast(inside, "float32")[None, :, :, None]
    weights = ops.broadcast_to(weights, ops.shape(losses))
    total = ops.sum(ops.cast(losses, "float32") * weights)
    count = ops.sum(weights)
    return ops.divide_no_nan(total, count), count
