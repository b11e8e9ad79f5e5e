import keras
from keras import ops

from glomo_keras.layers import KeyQueryProjection
from glomo_keras.layers import MaskedKeyQueryConv
from glomo_keras.layers import PixelCoordinates
from glomo_keras.layers import PixelEmbedding
from glomo_keras.models.predictor import Predictor
from glomo_keras.models.selected_heads import select_heads
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class ImageGraphPredictor(Predictor):
    """Predicts graphs between pixels: g for images, Sec. 3.5.

    The positions are the T = H W pixels in raster order. A key CNN and a
    query CNN of PixelCNN's masked convolutions (the first of mask type A, the
    others B) see the embedded values, and from their output come the graphs
    of all layers and heads (Eq. 1). Row t of a forward graph depends on
    pixels before t alone: neither on a later one nor on t itself.

    Blind spot: stacked masked kernels do not see all earlier pixels. Of those
    above and to the right of a pixel, the ones that lie more than
    `kernel_size // 2` columns away for each row above are outside the
    receptive field of its key and its query, however many layers there are.
    They are not out of reach: an edge leads from a pixel to any earlier one;
    the blind spot limits what the weight of an edge is computed from.

    `predictor(inputs)` materialises the graphs, at L = 3, K = 8 and 32x32
    pixels 101 MB an image; `predictor.factored()(inputs)` gives their
    factors, linear in T, which every layer that takes a graph takes too. The
    weights do not depend on the size of the images.

    A predictor with `trainable=False` (what `from_preset` returns) runs in
    inference mode wherever it stands.

    Args:
        embedding_dim: Integer d, also the channels of the CNNs. Defaults to
            `192`.
        num_heads: Integer K. Defaults to `8`.
        key_dim: Integer C per head. Defaults to `None`, which is
            `embedding_dim // 2`.
        kernel_size: Odd integer, side of the convolutions. Defaults to `3`.
        num_conv_layers: Integer, convolutions in each CNN. Defaults to `4`.
        num_graph_layers: Integer L. Defaults to `3`.
        bidirectional: Boolean, whether there are also backward graphs, the
            mirror image: from the last pixel to the first, with networks of
            their own. Defaults to `False`.
        coordinates: Boolean, whether the CNNs know where a pixel is, see
            `PixelCoordinates`. The paper does not say. Defaults to `True`.
        max_shift: Integer, see `PixelCoordinates`: the images that the graphs
            are for should not be larger than this and those for training.
            Defaults to `0`.
        threshold: `"query"` or `"scalar"`, see `KeyQueryProjection`. Defaults
            to `"query"`.
        activation: `"squared_relu"`, `"square"` or `"softmax"`, see
            `SquaredReLUGraph`. Defaults to `"squared_relu"`.
        normalization: `"layer"`, `"batch"` or `"none"`, in the CNNs. In
            training batch statistics mix all positions, also later ones.
            Defaults to `"layer"`.
        dropout: Float, on the channels of the CNNs' input. Defaults to `0.0`.
        dtype: Dtype policy.
        name: String.
        trainable: Boolean. Defaults to `True`.

    Call arguments:
        inputs: Dict of `images`, uint8 `(B, H, W, 3)`.
        training: Boolean.

    Returns:
        Dict of `forward_graphs` and, if bidirectional, `backward_graphs`,
        each `(B, L, K, T, T)`: rows are receivers, in raster order.

    Raises:
        ValueError: If an argument is out of its range.

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
        super().__init__(dtype=dtype, name=name)
        dtype = self.dtype_policy
        self.directions = DIRECTIONS if bidirectional else DIRECTIONS[:1]

        # === Layers ===
        self.pixel_embedding = PixelEmbedding(
            embedding_dim, dtype=dtype, name="pixel_embedding"
        )
        self.pixel_coordinates = None
        if coordinates:
            self.pixel_coordinates = PixelCoordinates(
                max_shift=max_shift, dtype=dtype, name="pixel_coordinates"
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
        self.flatten = keras.layers.Reshape(
            (-1, embedding_dim), dtype=dtype, name="flatten"
        )
        self.projections = {
            direction: KeyQueryProjection(
                num_heads,
                key_dim,
                num_graph_layers=num_graph_layers,
                threshold=threshold,
                direction=direction,
                dtype=dtype,
                name=f"{direction}_projection",
            )
            for direction in self.directions
        }
        self.graph = self.make_graph_layer(activation)

        # === Functional Model ===
        inputs = {
            "images": keras.Input((None, None, 3), dtype="uint8", name="images")
        }
        embedded = self.embed(inputs)
        factors = {
            f"{direction}_graphs": project(
                *self._keys_and_queries(direction, embedded)
            )
            for direction, project in self.projections.items()
        }
        self.set_graphs(inputs, factors, trainable)

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
        """Returns `(B, T, d)` each, of embedded pixels `(B, H, W, d)`."""
        if self.pixel_coordinates is not None:
            embedded = self.pixel_coordinates(embedded, training=training)
        keys, queries = self.convolutions[direction](
            embedded, training=training
        )
        return self.flatten(keys), self.flatten(queries)

    def embed(self, inputs):
        """Returns F^0 as an image, `(B, H, W, d)`: the sum over channels."""
        embedded = self.pixel_embedding(inputs["images"])
        return ops.sum(embedded, axis=-2)

    def layer_by_layer(
        self, embedded, padding_mask=None, training=None, positions=None
    ):
        """Returns the factors of each graph layer, see `Predictor`."""
        return {
            direction: projection.layer_by_layer(
                *self._keys_and_queries(direction, embedded, training),
                padding_mask,
                (positions or {}).get(direction),
            )
            for direction, projection in self.projections.items()
        }

    def select(self, layers=None, heads=None):
        """Returns a smaller predictor, of some graph layers and heads.

        See `GraphPredictor.select`; this gives an `ImageGraphPredictor`.

        Example:

        >>> import glomo_keras as gk
        >>> predictor = gk.ImageGraphPredictor(
        ...     embedding_dim=12, num_heads=2, key_dim=4)
        >>> predictor.select(layers=[1, 3], heads=[[2], [1]]).num_heads
        1
        """
        return select_heads(self, layers, heads)

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "kernel_size": self.kernel_size,
            "num_conv_layers": self.num_conv_layers,
            "num_graph_layers": self.num_graph_layers,
            "bidirectional": self.bidirectional,
            "coordinates": self.coordinates,
            "max_shift": self.max_shift,
            "threshold": self.threshold,
            "activation": self.activation,
            "normalization": self.normalization,
            "dropout": self.dropout,
        }
