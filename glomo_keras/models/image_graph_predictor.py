import keras

from glomo_keras.layers import MaskedKeyQueryConv
from glomo_keras.layers import PixelCoordinates
from glomo_keras.layers import PixelEmbedding
from glomo_keras.layers import SquaredReLUGraph
from glomo_keras.layers.graph._materialize_graph import _MaterializeGraph
from glomo_keras.layers.pixels._pixels_to_units import PixelsToUnits
from glomo_keras.models._preset_models import PresetPredictor
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class ImageGraphPredictor(PresetPredictor):
    """g for images: graphs between pixels, Sec. 3.5.

    The units are the T = H W pixels in raster order. A key CNN and a query CNN
    of PixelCNN's masked convolutions (the first of mask type A, the others
    B) look at the embedded values, and from their output come the graphs of
    all layers and heads (Eq. 1). Row t of a forward graph depends on pixels
    before t alone: neither on a later one nor on t itself.

    Blind spot: stacked masked kernels do not see all earlier pixels. Of those
    above and to the right of a pixel, the ones that lie more than
    `kernel_size // 2` columns away for each row above are outside the receptive
    field of its key and its query, however many layers there are. They are
    not out of reach: an edge leads from a pixel to any earlier one; the blind
    spot limits what the weight of an edge is computed from.

    `predictor(inputs)` materialises the graphs, at L = 3, K = 8 and 32x32
    pixels 101 MB an image; `predictor.factored()(inputs)` gives their factors,
    linear in T, which every layer that takes a graph takes too. The weights
    do not depend on the size of the images.

    A predictor with `trainable=False` (what `from_preset` returns) runs in
    inference mode wherever it stands.

    Args:
        embedding_dim: integer, d, also the channels of the CNNs.
        num_heads: integer, K.
        key_dim: integer, C per head; `embedding_dim // 2` if None.
        kernel_size: odd integer, side of the convolutions.
        num_conv_layers: integer, convolutions in each CNN.
        num_graph_layers: integer, L.
        bidirectional: boolean, whether there are also backward graphs, the
            mirror image: from the last pixel to the first, with networks of
            their own.
        coordinates: boolean, whether the CNNs are told where a pixel is,
            see `PixelCoordinates`. The paper does not say.
        max_shift: integer, see `PixelCoordinates`: the images that the graphs
            are for should not be larger than this and those for training.
        threshold: `"query"` or `"scalar"`, see `SquaredReLUGraph`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`.
        normalization: `"layer"`, `"batch"` or `"none"`, in the CNNs. In
            training batch statistics mix all positions, also later ones.
        dropout: float, on the channels of the CNNs' input.
        dtype: dtype policy.
        name: string.
        trainable: boolean.

    Call arguments:
        inputs: dict of `images`, uint8 `(B, H, W, 3)`.
        training: boolean.

    Returns:
        Dict of `forward_graphs` and, if bidirectional, `backward_graphs`,
        each `(B, L, K, T, T)`: rows are receivers, in raster order.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> predictor = gk.ImageGraphPredictor(
    ...     embedding_dim=12, num_heads=2, key_dim=4)
    >>> inputs = {"images": np.zeros((1, 4, 5, 3), "uint8")}
    >>> tuple(predictor(inputs)["forward_graphs"].shape)
    (1, 3, 2, 20, 20)

    Reference:
        Yang et al. 2018, Sec. 3.5; van den Oord et al. 2016, "Pixel Recurrent
        Neural Networks" (the masks), and "Conditional Image Generation with
        PixelCNN Decoders" (the blind spot).
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
        threshold="query",
        activation="squared_relu",
        normalization="layer",
        dropout=0.0,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(embedding_dim=embedding_dim)
        key_dim = embedding_dim // 2 if key_dim is None else key_dim
        self.directions = DIRECTIONS if bidirectional else DIRECTIONS[:1]

        # === Layers ===
        self.pixel_embedding = PixelEmbedding(
            embedding_dim, dtype=dtype, name="pixel_embedding"
        )
        self.pixel_coordinates = (
            PixelCoordinates(
                max_shift=max_shift, dtype=dtype, name="pixel_coordinates"
            )
            if coordinates
            else None
        )
        self.convolutions = {
            direction: MaskedKeyQueryConv(
                embedding_dim,
                num_layers=num_conv_layers,
                kernel_size=kernel_size,
                rank=2,
                direction=direction,
                first_mask="A",
                normalization=normalization,
                dropout=dropout,
                dtype=dtype,
                name=f"{direction}_convolutions",
            )
            for direction in self.directions
        }
        self.graphs = {
            direction: SquaredReLUGraph(
                num_heads,
                key_dim,
                num_graph_layers=num_graph_layers,
                threshold=threshold,
                activation=activation,
                direction=direction,
                dtype=dtype,
                name=f"{direction}_graph",
            )
            for direction in self.directions
        }
        self.flatten = PixelsToUnits(dtype=dtype, name="units")

        # === Functional Model ===
        inputs = {
            "images": keras.Input((None, None, 3), dtype="uint8", name="images")
        }
        embedded = _sum_channels(self.pixel_embedding(inputs["images"]))
        factors = {
            f"{direction}_graphs": self.graphs[direction](
                *self._keys_and_queries(direction, embedded), factored=True
            )
            for direction in self.directions
        }
        graphs = {
            f"{direction}_graphs": _MaterializeGraph(
                direction, activation, dtype=dtype, name=f"{direction}_graphs"
            )(factors[f"{direction}_graphs"])
            for direction in self.directions
        }
        super().__init__(inputs=inputs, outputs=graphs, name=name)
        self.trainable = trainable
        self._factored_model = [
            keras.Model(inputs, factors, name=f"{self.name}_factored")
        ]

        # === Config ===
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.kernel_size = kernel_size
        self.num_conv_layers = num_conv_layers
        self.num_graph_layers = num_graph_layers
        self.bidirectional = bidirectional
        self.coordinates = coordinates
        self.max_shift = max_shift
        self.threshold = threshold
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout

    def _keys_and_queries(self, direction, embedded, training=None):
        """Keys and queries `(B, T, d)` of embedded pixels `(B, H, W, d)`."""
        if self.pixel_coordinates is not None:
            embedded = self.pixel_coordinates(embedded, training=training)
        keys, queries = self.convolutions[direction](
            embedded, training=training
        )
        return self.flatten(keys), self.flatten(queries)

    def embed(self, images):
        """F^0 as an image: tensor `(B, H, W, d)` of integers `(B, H, W, 3)`."""
        return _sum_channels(self.pixel_embedding(images))

    def layers_of(self, embedded, training=None, positions=None):
        """The graphs of embedded pixels layer by layer, in factored form.

        Args:
            embedded: tensor `(B, H, W, d)`.
            training: boolean.
            positions: dict of an integer tensor `(N,)` or None for each
                direction, the rows wanted of its last layer.

        Returns:
            Dict of `forward` and, if bidirectional, `backward`, each what
            `SquaredReLUGraph.layers_of` returns.
        """
        return {
            direction: self.graphs[direction].layers_of(
                *self._keys_and_queries(direction, embedded, training),
                positions=(positions or {}).get(direction),
            )
            for direction in self.directions
        }

    def factored(self):
        """This predictor with the factored form of the graphs as output.

        Returns:
            A `keras.Model` that shares this model's layers. Its outputs are
            `forward_graphs` and, if bidirectional, `backward_graphs`, each a
            dict of `queries` and `keys` `(B, L, K, T, C)` and `thresholds`
            `(B, L, K, T)`. See `GraphPredictor.factored` on saving.
        """
        return self._factored_model[0]

    def get_config(self):
        names = (
            "embedding_dim",
            "num_heads",
            "key_dim",
            "kernel_size",
            "num_conv_layers",
            "num_graph_layers",
            "bidirectional",
            "coordinates",
            "max_shift",
            "threshold",
            "activation",
            "normalization",
            "dropout",
            "name",
            "trainable",
        )
        config = {name: getattr(self, name) for name in names}
        dtype = keras.dtype_policies.serialize(
            self.pixel_embedding.dtype_policy
        )
        return {**config, "dtype": dtype}


def _sum_channels(embedded):
    return keras.ops.sum(embedded, axis=-2)
