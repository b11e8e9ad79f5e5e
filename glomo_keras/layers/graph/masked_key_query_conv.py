import keras
from keras import ops

from glomo_keras.ops.fast_convolution import convolve_by_fours
from glomo_keras.ops.fast_convolution import is_faster_by_fours
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.masked_convolution import causal_padding
from glomo_keras.ops.masked_convolution import raster_kernel_mask
from glomo_keras.utils import validation as check
from glomo_keras.utils.initializers import fresh

NORMALIZATIONS = ("batch", "layer", "none")


@keras.saving.register_keras_serializable(package="glomo_keras")
class MaskedKeyQueryConv(keras.layers.Layer):
    """The key CNN and the query CNN of the graph predictor.

    Two stacks of `num_layers` convolutions of the same input, each
    `convolution -> normalization -> activation`, that see no later unit:

    * `rank=1`: the window of unit t is t - kernel_size + 1 .. t
      (`direction="backward"`: its mirror, t .. t + kernel_size - 1).
    * `rank=2`: PixelCNN's raster mask. The first layer has a mask of type
      `first_mask` (`"A"` leaves the pixel itself out), the others type B.
      Stacked masked kernels have PixelCNN's blind spot: some earlier
      pixels, above and to the right, are outside the receptive field.

    Padded units are set to 0 before each convolution, so that they act like
    the zeros beyond the sequence; what the last layer gives at padded units
    is not cleared. Batch statistics leave padded units out.

    Batch normalisation mixes the statistics of all positions in training (as
    in the released code, which also counts `kernel_size - 1` positions past
    the end; here only units count). In inference nothing leaks.

    Args:
        filters: integer, channels of every convolution, d in the paper.
        num_layers: integer, convolutions per stack.
        kernel_size: integer; odd for `rank=2`.
        rank: 1 for sequences, 2 for images.
        direction: `"forward"` (sees earlier units) or `"backward"`.
        first_mask: `"A"` or `"B"`, `rank=2` only.
        activation: name or function.
        normalization: `"batch"`, `"layer"` or `"none"`.
        dropout: float, share of the input channels dropped for a whole
            sequence (variational dropout), drawn anew for each stack.
        kernel_initializer: initializer of the kernels.
        seed: integer seed of the dropout.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor `(B, T, channels)`; `(B, H, W, channels)` for `rank=2`.
        padding_mask: boolean `(B, T)` (`(B, H, W)`), True = real unit. The
            Keras mask of `inputs` is used where it is not given.
        training: boolean.

    Returns:
        `(keys, queries)`, each of the shape of `inputs` with `filters`
        channels.

    Raises:
        ValueError: an argument out of its range, or an input of another rank.

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
            return keras.layers.BatchNormalization(momentum=0.9, **kwargs)
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
        x = self.dropout_layer(x, training=training)
        if mask is not None:
            mask = ops.cast(mask, "bool")
            factor = ops.cast(ops.expand_dims(mask, -1), x.dtype)
        for conv, norm in zip(convs, norms, strict=True):
            x = x if mask is None else x * factor
            if self.normalization == "none":
                x = conv(x, training=training)
            elif self.normalization == "layer":
                x = _normalize_units(conv(x, training=training), norm)
            elif training:
                x = norm(conv(x, training=True), training=True, mask=mask)
            else:
                x = conv(x, normalization=norm)
            x = self.activation(x)
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

    def call(self, inputs, training=None, normalization=None):
        kernel, bias = self.kernel, self.bias
        if normalization is not None:
            # One pass over the outputs, where the normalisation takes four.
            scale, shift = _scale_and_shift(normalization)
            kernel = ops.cast(kernel, "float32") * scale
            bias = ops.cast(bias, "float32") * scale + shift
        # A tensor: a function with a gradient of its own takes no variables.
        kernel = ops.cast(kernel, inputs.dtype)
        if self.rank == 1:
            outputs = self._convolve(inputs, kernel, training)
        else:
            mask = raster_kernel_mask(
                self.kernel_size, self.mask_type, self.direction
            )
            kernel = kernel * ops.cast(mask, kernel.dtype)
            outputs = ops.conv(inputs, kernel, padding="same")
        return outputs + ops.cast(bias, outputs.dtype)

    def _convolve(self, inputs, kernel, training):
        padding = causal_padding(self.kernel_size, self.direction)
        # In training alone: what is exported, and compared with its export,
        # is the plain convolution.
        if training and is_faster_by_fours(inputs, kernel):
            return convolve_by_fours(inputs, kernel, padding)
        inputs = ops.pad(inputs, ((0, 0), padding, (0, 0)))
        return ops.conv(inputs, kernel, padding="valid")


def _normalize_units(x, norm):
    """What a `LayerNormalization` gives, by other sums.

    TensorFlow's graph optimizer reorders those of Keras: an exported predictor
    would differ from the one called in Python.
    """
    y = ops.cast(x, "float32")
    mean, variance = ops.moments(y, axes=-1, keepdims=True)
    gamma, beta = (ops.cast(v, "float32") for v in (norm.gamma, norm.beta))
    y = (y - mean) * (ops.rsqrt(variance + norm.epsilon) * gamma) + beta
    return ops.cast(y, x.dtype)


def _scale_and_shift(norm):
    """What batch normalisation does in inference, float32 `(filters,)`."""
    mean, variance, gamma, beta = (
        ops.cast(x, "float32")
        for x in (
            norm.moving_mean,
            norm.moving_variance,
            norm.gamma,
            norm.beta,
        )
    )
    scale = gamma * ops.rsqrt(variance + norm.epsilon)
    return scale, beta - mean * scale
