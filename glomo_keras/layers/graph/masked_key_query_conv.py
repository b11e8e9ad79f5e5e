import keras
from keras import ops

from glomo_keras.layers.graph._batch_normalization import BatchNormalization
from glomo_keras.ops.batch_parts import in_whole_batch
from glomo_keras.ops.batch_parts import rows_of_part
from glomo_keras.ops.fast_convolution import causal_conv1d
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.masked_convolution import raster_conv2d
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh

NORMALIZATIONS = ("batch", "layer", "none")


@keras.saving.register_keras_serializable(package="glomo_keras")
class MaskedKeyQueryConv(keras.layers.Layer):
    """Computes key and query features with the graph predictor's CNNs.

    Two stacks of `num_layers` convolutions of the same input, each
    `convolution -> normalization -> activation`, in which no position sees a
    later one:

    * `rank=1`: the window of position t is t - kernel_size + 1 .. t
      (`direction="backward"`: its mirror, t .. t + kernel_size - 1).
    * `rank=2`: PixelCNN's raster mask. The first layer has a mask of type
      `first_mask` (`"A"` leaves the pixel itself out), the others type B.
      Stacked masked kernels have PixelCNN's blind spot: some earlier
      pixels, above and to the right, are outside the receptive field.

    Padding is set to 0 before each convolution, so that it acts like the
    zeros beyond the sequence; the outputs of the last layer at padded
    positions are not cleared. Batch statistics leave padding out.

    Batch normalisation mixes the statistics of all positions in training (as
    in the released code, which also counts `kernel_size - 1` positions past
    the end; here only real positions count). In inference nothing leaks.

    Args:
        filters: Integer, channels of every convolution, d in the paper.
        num_layers: Integer, convolutions per stack. Defaults to `4`.
        kernel_size: Integer; odd for `rank=2`. Defaults to `3`.
        rank: 1 for sequences, 2 for images. Defaults to `1`.
        direction: `"forward"` (sees earlier positions) or `"backward"`.
            Defaults to `"forward"`.
        first_mask: `"A"` or `"B"`, for `rank=2`. Defaults to `"A"`.
        activation: Name or function. Defaults to `"relu"`.
        normalization: `"batch"`, `"layer"` or `"none"`. Defaults to
            `"batch"`.
        residual: Boolean, whether each layer adds to its input; the first
            does where the input has `filters` channels. Defaults to `False`.
        dropout: Float, share of the input channels dropped for a whole
            sequence (variational dropout), drawn anew for each stack.
            Defaults to `0.0`.
        kernel_initializer: Initializer of the kernels. Defaults to
            `"glorot_uniform"`.
        seed: Integer seed of the dropout. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor `(B, T, channels)`; `(B, H, W, channels)` for `rank=2`.
        padding_mask: Boolean `(B, T)` (`(B, H, W)`), True = real position.
            Defaults to the Keras mask of `inputs`.
        training: Boolean.

    Returns:
        Tuple `(keys, queries)`, each of the shape of `inputs` with `filters`
        channels.

    Raises:
        ValueError: If an argument is out of its range, or the input has
            another rank.

    Example:

    >>> import keras, glomo_keras as gk
    >>> conv = gk.layers.MaskedKeyQueryConv(filters=8, num_layers=2)
    >>> keys, queries = conv(keras.ops.ones((2, 5, 4)))
    >>> tuple(keys.shape)
    (2, 5, 8)

    Reference:
        Yang et al. 2018, Sec. 2.1, "Graph Predictor"; van den Oord et al.
        2016, "Pixel Recurrent Neural Networks" (the masks).
    """

    def __init__(
        self,
        filters,
        num_layers=4,
        kernel_size=3,
        rank=1,
        direction="forward",
        first_mask="A",
        activation="relu",
        normalization="batch",
        residual=False,
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(
            filters=filters, num_layers=num_layers, kernel_size=kernel_size
        )
        check.check_option("rank", rank, (1, 2))
        check.check_option("direction", direction, DIRECTIONS)
        check.check_option("first_mask", first_mask, ("A", "B"))
        check.check_option("normalization", normalization, NORMALIZATIONS)
        check.check_rate(dropout=dropout)
        if rank == 2 and kernel_size % 2 == 0:
            raise ValueError(
                "A raster-masked kernel has a centre: `kernel_size` must be "
                f"odd for rank=2. Received: kernel_size={kernel_size}"
            )
        self.filters = filters
        self.num_layers = num_layers
        self.kernel_size = kernel_size
        self.rank = rank
        self.direction = direction
        self.first_mask = first_mask
        self.activation = keras.activations.get(activation)
        self.normalization = normalization
        self.residual = residual
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.dropout_layer = keras.layers.Dropout(
            dropout,
            noise_shape=(None,) + (1,) * rank + (None,),
            seed=seed,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="dropout",
        )
        self.key_convs, self.key_norms = self._stack("key")
        self.query_convs, self.query_norms = self._stack("query")

    def _stack(self, name):
        convs = [
            _MaskedConv(
                self.filters,
                self.kernel_size,
                self.rank,
                self.direction,
                self.first_mask if index == 0 else "B",
                fresh(self.kernel_initializer),
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=f"{name}_conv_{index}",
            )
            for index in range(self.num_layers)
        ]
        norms = [
            self._norm(f"{name}_norm_{index}")
            for index in range(self.num_layers)
        ]
        return convs, norms

    def _norm(self, name):
        kwargs = {
            "epsilon": 1e-5,
            "dtype": self.dtype_policy,
            "trainable": self.trainable,
            "name": name,
        }
        if self.normalization == "batch":
            return BatchNormalization(momentum=0.9, **kwargs)
        if self.normalization == "layer":
            return keras.layers.LayerNormalization(**kwargs)
        return None

    def build(self, inputs_shape):
        self._check_inputs(inputs_shape)
        shape = tuple(inputs_shape)
        inner = (*shape[:-1], self.filters)
        self.dropout_layer.build(shape)
        for convs in (self.key_convs, self.query_convs):
            for index, conv in enumerate(convs):
                conv.build(shape if index == 0 else inner)
        for norm in (*self.key_norms, *self.query_norms):
            if norm is not None:
                norm.build(inner)

    def _check_inputs(self, shape):
        meaning = (
            "(B, T, channels)" if self.rank == 1 else "(B, H, W, channels)"
        )
        check.check_rank("inputs", shape, self.rank + 2, meaning)

    def call(self, inputs, padding_mask=None, mask=None, training=None):
        mask = mask if padding_mask is None else padding_mask
        training = training and self.trainable
        keys = self._run(self.key_convs, self.key_norms, inputs, mask, training)
        queries = self._run(
            self.query_convs, self.query_norms, inputs, mask, training
        )
        return keys, queries

    def _run(self, convs, norms, x, mask, training):
        x = self._drop(x, training)
        if mask is not None:
            mask = ops.cast(mask, "bool")
            factor = ops.cast(ops.expand_dims(mask, -1), x.dtype)
        for conv, norm in zip(convs, norms, strict=True):
            x = x if mask is None else x * factor
            y = conv(x, training=training)
            y = self._normalize(norm, y, mask, training)
            y = self.activation(y)
            adds = self.residual and x.shape[-1] == self.filters
            x = x + y if adds else y
        return x

    def _drop(self, x, training):
        if not (training and self.dropout):
            return x
        num_rows, channels = in_whole_batch(ops.shape(x)[0]), x.shape[-1]
        ones = ops.ones((num_rows, *(1,) * self.rank, channels), x.dtype)
        return x * rows_of_part(self.dropout_layer(ones, training=True))

    def _normalize(self, norm, x, mask, training):
        if self.normalization == "batch":
            return norm(x, training=training, mask=mask)
        if self.normalization == "layer":
            return _normalize_channels(x, norm)
        return x

    def compute_mask(self, inputs, previous_mask):
        return previous_mask, previous_mask

    def compute_output_shape(self, inputs_shape):
        self._check_inputs(inputs_shape)
        shape = (*inputs_shape[:-1], self.filters)
        return shape, shape

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "num_layers": self.num_layers,
            "kernel_size": self.kernel_size,
            "rank": self.rank,
            "direction": self.direction,
            "first_mask": self.first_mask,
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "residual": self.residual,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "seed": self.seed,
        }


class _MaskedConv(keras.layers.Layer):
    """One convolution, causal in 1-d, raster-masked in 2-d."""

    def __init__(
        self,
        filters,
        kernel_size,
        rank,
        direction,
        mask_type,
        kernel_initializer,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.rank = rank
        self.direction = direction
        self.mask_type = mask_type
        self.kernel_initializer = kernel_initializer

    def build(self, inputs_shape):
        window = (self.kernel_size,) * self.rank
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*window, inputs_shape[-1], self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )

    def call(self, inputs, training=None):
        # A tensor: a function with a gradient of its own takes no variables.
        kernel = ops.cast(self.kernel, inputs.dtype)
        if self.rank == 1:
            x = causal_conv1d(inputs, kernel, self.direction, training)
        else:
            x = raster_conv2d(inputs, kernel, self.mask_type, self.direction)
        return x + ops.cast(self.bias, x.dtype)


def _normalize_channels(x, norm):
    """Computes a `LayerNormalization` in another order of its sums.

    TensorFlow's graph optimizer reorders those of Keras: an exported predictor
    would differ from the one called in Python.
    """
    y = ops.cast(x, "float32")
    mean, variance = ops.moments(y, axes=-1, keepdims=True)
    gamma, beta = (ops.cast(v, "float32") for v in (norm.gamma, norm.beta))
    y = (y - mean) * (ops.rsqrt(variance + norm.epsilon) * gamma) + beta
    return ops.cast(y, x.dtype)
