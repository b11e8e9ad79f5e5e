import keras
from keras import ops

from glomo_keras.layers._gru_cell import _SplitGRUCell
from glomo_keras.layers._gru_cell import run_stack
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.pixels import ANCHORS
from glomo_keras.ops.pixels import CHANNELS
from glomo_keras.ops.pixels import VALUES
from glomo_keras.ops.pixels import flatten_pixels
from glomo_keras.ops.pixels import window_indices
from glomo_keras.ops.pixels import window_offsets
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class PixelWindowDecoder(keras.layers.Layer):
    """Predicts the unseen pixels of a window, Eq. 3 in two dimensions.

    A stack of GRU cells starts in every layer from the feature `F_t` of a
    pixel t and makes a step for each of the D pixels of the window that come
    later than t in raster order. The first input is zeros, each further one
    the pixel predicted before it (teacher forcing; zeros outside the image).

    Within a pixel the channels are predicted in `channel_order`, each given
    those before it:

        z_c = h + V_c relu(W_c h + U_c (e_1 + ... + e_(c-1)) + b_c)
        p_c = softmax(z_c E_c + d_c)

    with the state h, the embeddings e of the values of earlier channels and
    the table E_c of the channel's 256 values.

    The paper's "3x3 window, essentially the bottom-right quarter under the
    mask" can be read in two ways: see `anchor`.

    Args:
        window_size: Integer, side of the window in pixels; odd for
            `anchor="centre"`. Defaults to `3`.
        anchor: `"centre"`: the window is around the pixel, and its later half
            is predicted (3x3: right, below left, below, below right);
            `"corner"`: the pixel is its first (3x3: 8 pixels). Defaults to
            `"centre"`.
        num_layers: Integer, GRU layers. Defaults to `1`.
        channel_order: String, the letters r, g and b in any order. Defaults
            to `"rgb"`.
        direction: `"forward"`, or `"backward"` for the mirror image. Defaults
            to `"forward"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: Tensor `(B, N, d)`, the top features at N pixels.
        images: Integer tensor `(B, H, W, 3)`.
        table: Tensor `(3, 256, d)`, the table of `PixelEmbedding`.
        positions: Integer tensor `(N,)` in raster order. Defaults to `None`,
            all pixels.

    Returns:
        Logits, tensor `(B, N, D, 3, 256)`, channels in the order of the
        images. Those of pixels outside the image mean nothing:
        `ops.pixels.window_indices` says which they are.

    Raises:
        ValueError: If an argument is out of its range, or ranks are wrong.

    Example:

    >>> import keras, numpy as np, glomo_keras as gk
    >>> decoder = gk.layers.PixelWindowDecoder(anchor="corner")
    >>> logits = decoder(keras.ops.ones((1, 20, 6)),
    ...                  np.zeros((1, 4, 5, 3), "uint8"),
    ...                  keras.ops.ones((3, 256, 6)))
    >>> tuple(logits.shape)
    (1, 20, 8, 3, 256)

    Reference:
        Yang et al. 2018, Eq. 3 and Sec. 3.5; van den Oord et al. 2016,
        "Pixel Recurrent Neural Networks" (channels, softmax).
    """

    def __init__(
        self,
        window_size=3,
        anchor="centre",
        num_layers=1,
        channel_order=CHANNELS,
        direction="forward",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(window_size=window_size, num_layers=num_layers)
        check.check_option("anchor", anchor, ANCHORS)
        check.check_option("direction", direction, DIRECTIONS)
        if window_size == 1 or (anchor == "centre" and window_size % 2 == 0):
            raise ValueError(
                "`window_size` must be above 1, and odd for anchor='centre'. "
                f"Received: window_size={window_size}, anchor={anchor!r}"
            )
        if sorted(channel_order) != sorted(CHANNELS):
            raise ValueError(
                "`channel_order` must have the letters r, g and b once each. "
                f"Received: channel_order={channel_order!r}"
            )
        self.window_size = window_size
        self.anchor = anchor
        self.num_layers = num_layers
        self.channel_order = channel_order
        self.direction = direction
        self.offsets = window_offsets(window_size, anchor, direction)

    def build(self, features_shape, images_shape, table_shape):
        check.check_rank("features", features_shape, 3, "(B, N, d)")
        check.check_rank("images", images_shape, 4, "(B, H, W, 3)")
        check.check_rank("table", table_shape, 3, "(3, 256, d)")
        check.check_same_width(features=features_shape, table=table_shape)
        width = features_shape[-1]
        self.cells = [
            _SplitGRUCell(width, **self._options(f"cell_{index}"))
            for index in range(self.num_layers)
        ]
        for cell in self.cells:
            cell.build((None, width))
        self.hidden_dense, self.output_dense = {}, {}
        for index, channel in enumerate(self.channel_order):
            known = width if index == 0 else 2 * width
            self.hidden_dense[channel] = keras.layers.Dense(
                2 * width, "relu", **self._options(f"hidden_{channel}")
            )
            self.hidden_dense[channel].build((None, known))
            self.output_dense[channel] = keras.layers.Dense(
                width, **self._options(f"output_{channel}")
            )
            self.output_dense[channel].build((None, 2 * width))
        self.bias = self.add_weight(
            name="bias", shape=(len(CHANNELS), VALUES), initializer="zeros"
        )

    def _options(self, name):
        return {
            "dtype": self.dtype_policy,
            "trainable": self.trainable,
            "name": name,
        }

    def call(self, features, images, table, positions=None):
        check.check_bytes("images", images)
        height, width = ops.shape(images)[1:3]
        if positions is None:
            positions = ops.arange(height * width, dtype="int32")
        table = ops.cast(table, self.compute_dtype)
        channels = self._window_channels(
            images, table, positions, height, width
        )
        pixels = ops.unstack(sum(channels.values()), axis=2)
        features = ops.cast(features, self.compute_dtype)
        inputs = [ops.zeros_like(features), *pixels[:-1]]
        states = run_stack(self.cells, features, inputs)  # (B, N, D, d)
        logits = self._logits(states, channels, table)
        return ops.stack([logits[c] for c in CHANNELS], axis=3)

    def _window_channels(self, images, table, positions, height, width):
        """Returns the embedded window, `(B, N, D, d)` for each channel."""
        indices, inside = window_indices(positions, self.offsets, height, width)
        values = ops.take(
            flatten_pixels(images), indices, axis=1
        )  # (B, N, D, 3)
        values = ops.unstack(ops.cast(values, "int32"), axis=-1)
        inside = ops.cast(ops.expand_dims(inside, -1), table.dtype)
        return {
            channel: inside * ops.take(table[index], values[index], axis=0)
            for index, channel in enumerate(CHANNELS)
        }

    def _logits(self, states, channels, table):
        """Returns each channel's logits, `(B, N, D, 256)`."""
        logits, known, inputs = {}, 0.0, states
        bias = ops.cast(ops.convert_to_tensor(self.bias), "float32")
        for channel in self.channel_order:
            index = CHANNELS.index(channel)
            hidden = self.hidden_dense[channel](inputs)
            output = states + self.output_dense[channel](hidden)
            scores = ops.matmul(output, ops.transpose(table[index]))
            logits[channel] = ops.cast(scores, "float32") + bias[index]
            known = known + channels[channel]
            inputs = ops.concatenate([states, known], axis=-1)
        return logits

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(self, features, images, table, positions=None):
        shape = self.compute_output_shape(
            features.shape, images.shape, table.shape
        )
        return keras.KerasTensor(shape, dtype="float32")

    def compute_output_shape(self, features_shape, images_shape, table_shape):
        size = (len(self.offsets), len(CHANNELS), VALUES)
        return (*features_shape[:2], *size)

    def get_config(self):
        return {
            **super().get_config(),
            "window_size": self.window_size,
            "anchor": self.anchor,
            "num_layers": self.num_layers,
            "channel_order": self.channel_order,
            "direction": self.direction,
        }
