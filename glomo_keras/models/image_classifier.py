import keras
from keras import ops

from glomo_keras.layers import GraphMessages
from glomo_keras.layers import MessageTransfer
from glomo_keras.layers.pixels._pixels_to_units import PixelsToUnits
from glomo_keras.layers.pixels._pixels_to_units import UnitsToPixels
from glomo_keras.models._layers_first_model import LayersFirstModel
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.utils import validation as check

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
GRAPHS = ("none", "predicted", "uniform")
CHANNEL_MEANS = (0.4914, 0.4822, 0.4465)  # of CIFAR-10, values 0 to 1
CHANNEL_DEVIATIONS = (0.2023, 0.1994, 0.2010)


@keras.saving.register_keras_serializable(package="glomo_keras")
class ImageClassifier(LayersFirstModel):
    """A ResNet for small images, with graphs between the pixels or without.

    The features H are the pixels, normalised by channel. With graphs they are
    mixed into one M, and `[H; gate(H, M H)]` goes into the network in place
    of H, Sec. 3.5. The ResNet has the form that is usual on CIFAR: a first
    convolution of 3x3 pixels with stride 1, no pooling after it, four stages
    of 64 to 512 channels, the mean over all places, a linear layer. Without
    graphs and with 10 classes it has 11,173,962 (18) or 21,282,122
    (34) trainable parameters; Keras counts the moving means and
    variances of the batch normalisations as well.

    The graphs are never held: `GraphMessages` computes what each of them
    brings, and only these messages are mixed. Those of a frozen predictor do
    not change in training, so they may be computed once: `message_model()`
    gives them, and `on_messages()` is this model with them as an input.

    Args:
        num_classes: integer.
        depth: 18 or 34.
        image_size: integer, pixels a side.
        graph: `"none"`, `"predicted"`, or `"uniform"`: all earlier pixels
            alike.
        graph_predictor: `ImageGraphPredictor`, for `graph="predicted"`. It
            is trained only where it is trainable.
        num_mixtures: integer, mixtures per direction.
        include_products: boolean, see `GraphMixture`.
        units: integer, width of the gated part; 3, that of the pixels, if
            None.
        dtype: dtype policy.
        name: string.
        trainable: boolean; False freezes the whole model.

    Call arguments:
        inputs: dict of `images`, uint8 `(B, S, S, 3)`.
        training: boolean.

    Returns:
        Dict of `logits`, float32 `(B, num_classes)`.

    Raises:
        ValueError: an argument out of its range, or a predictor where none
            is used or none where one is.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> model = gk.ImageClassifier(image_size=8, graph="uniform")
    >>> images = np.zeros((1, 8, 8, 3), "uint8")
    >>> tuple(model({"images": images})["logits"].shape)
    (1, 10)

    Reference:
        Yang et al. 2018, Sec. 3.5; He et al. 2016, "Deep Residual Learning
        for Image Recognition".
    """

    def __init__(
        self,
        num_classes=10,
        depth=18,
        image_size=32,
        graph="none",
        graph_predictor=None,
        num_mixtures=1,
        include_products=True,
        units=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(num_classes=num_classes, image_size=image_size)
        check.check_option("depth", depth, tuple(BLOCKS))
        check.check_option("graph", graph, GRAPHS)
        if (graph_predictor is None) == (graph == "predicted"):
            raise ValueError(
                "`graph_predictor` is needed for graph='predicted' and for it "
                f"alone. Received: graph={graph!r}, "
                f"graph_predictor={graph_predictor}"
            )

        # === Layers ===
        self.normalization = keras.layers.Rescaling(
            [1 / (255 * s) for s in CHANNEL_DEVIATIONS],
            [
                -m / s
                for m, s in zip(CHANNEL_MEANS, CHANNEL_DEVIATIONS, strict=True)
            ],
            dtype=dtype,
            name="normalization",
        )
        self.units_of = PixelsToUnits(dtype=dtype, name="units")
        self.images_of = UnitsToPixels(
            image_size, dtype=dtype, name="images_of"
        )
        self.messages = (
            _UniformMessages(dtype=dtype, name="messages")
            if graph == "uniform"
            else GraphMessages(
                include_products,
                getattr(graph_predictor, "activation", "squared_relu"),
                dtype=dtype,
                name="messages",
            )
        )
        self.transfer = MessageTransfer(
            num_mixtures, units, dtype=dtype, name="transfer"
        )
        resnet = _ResNet(depth, num_classes, dtype)

        # === Functional Model ===
        inputs = {
            "images": keras.Input(
                (image_size, image_size, 3), dtype="uint8", name="images"
            )
        }
        features = self.normalization(inputs["images"])
        units_ = self.units_of(features)
        if graph == "none":
            outputs = {"logits": resnet(features)}
            super().__init__(inputs=inputs, outputs=outputs, name=name)
        else:
            messages = (
                self.messages(units_)
                if graph == "uniform"
                else self.messages(units_, graph_predictor.factored()(inputs))
            )
            fused = self.images_of(self.transfer(units_, messages))
            super().__init__(
                inputs=inputs, outputs={"logits": resnet(fused)}, name=name
            )
            given = {
                name: keras.Input(x.shape[1:], dtype="float16", name=name)
                for name, x in messages.items()
            }
            fused = self.images_of(self.transfer(units_, given))
            self._other_models = [
                keras.Model(inputs, messages, name="message_model"),
                keras.Model(
                    {**inputs, **given},
                    {"logits": resnet(fused)},
                    name="on_messages",
                ),
            ]

        # === Config ===
        self.num_classes = num_classes
        self.depth = depth
        self.image_size = image_size
        self.graph = graph
        self.graph_predictor = graph_predictor
        self.num_mixtures = num_mixtures
        self.include_products = include_products
        self.units = units
        self.policy = self.normalization.dtype_policy
        if not trainable:  # True would thaw a frozen predictor
            self.trainable = False

    def message_model(self):
        """A model from images to messages, frozen graphs applied to pixels.

        Returns:
            `keras.Model`, which shares this model's layers. Its outputs are
            `forward_messages` and, of a bidirectional predictor,
            `backward_messages`, float32 `(B, N, T, 3)`.

        Raises:
            ValueError: if this model has no graphs.
        """
        self._check_graphs()
        return self._other_models[0]

    def on_messages(self):
        """This model with the messages as inputs beside the images.

        Returns:
            `keras.Model`, which shares this model's layers but the graph
            predictor. Its inputs are `images` and the outputs of
            `message_model`, which may be float16.

        Raises:
            ValueError: if this model has no graphs.
        """
        self._check_graphs()
        return self._other_models[1]

    def _check_graphs(self):
        if self.graph == "none":
            raise ValueError(
                "A model without graphs has no messages. "
                f"Received: graph={self.graph!r}"
            )

    def get_config(self):
        names = (
            "num_classes",
            "depth",
            "image_size",
            "graph",
            "num_mixtures",
            "include_products",
            "units",
            "name",
            "trainable",
        )
        predictor = self.graph_predictor
        return {
            **{name: getattr(self, name) for name in names},
            "graph_predictor": None
            if predictor is None
            else keras.saving.serialize_keras_object(predictor),
            "dtype": keras.dtype_policies.serialize(self.policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if isinstance(config.get("graph_predictor"), dict):
            config["graph_predictor"] = keras.saving.deserialize_keras_object(
                config["graph_predictor"]
            )
        return super().from_config(config)


class _ResNet:
    """The layers of a ResNet, made once, to be called more than once."""

    def __init__(self, depth, num_classes, dtype):
        self.dtype = dtype
        self.stem = self._convolution(64, 3, 1, "stem")
        self.blocks = [
            self._block(64 * 2**stage, stage, index)
            for stage, count in enumerate(BLOCKS[depth])
            for index in range(count)
        ]
        self.pool = keras.layers.GlobalAveragePooling2D(
            dtype=dtype, name="pool"
        )
        self.logits = keras.layers.Dense(
            num_classes, dtype=dtype, name="logits"
        )
        self.in_float32 = keras.layers.Activation(
            "linear", dtype="float32", name="logits_float32"
        )
        self.relu = keras.layers.ReLU(dtype=dtype, name="relu")
        self.add = keras.layers.Add(dtype=dtype, name="add")

    def _block(self, filters, stage, index):
        stride = 2 if stage > 0 and index == 0 else 1
        name = f"stage_{stage + 1}_block_{index + 1}"
        block = {
            "first": self._convolution(filters, 3, stride, f"{name}_first"),
            "second": self._convolution(filters, 3, 1, f"{name}_second"),
        }
        if stride == 2:
            block["shortcut"] = self._convolution(
                filters, 1, stride, f"{name}_shortcut"
            )
        return block

    def _convolution(self, filters, kernel_size, stride, name):
        # Zeros on both sides, also for stride 2: "same" puts one side alone.
        return [
            keras.layers.ZeroPadding2D(
                kernel_size // 2, dtype=self.dtype, name=f"{name}_padding"
            ),
            keras.layers.Conv2D(
                filters,
                kernel_size,
                strides=stride,
                use_bias=False,
                kernel_initializer="he_normal",
                dtype=self.dtype,
                name=f"{name}_convolution",
            ),
            keras.layers.BatchNormalization(
                momentum=0.9,
                epsilon=1e-5,
                dtype=self.dtype,
                name=f"{name}_norm",
            ),
        ]

    def __call__(self, x):
        x = self.relu(_in_turn(self.stem, x))
        for block in self.blocks:
            shortcut = _in_turn(block.get("shortcut", []), x)
            x = self.relu(_in_turn(block["first"], x))
            x = _in_turn(block["second"], x)
            x = self.relu(self.add([x, shortcut]))
        return self.in_float32(self.logits(self.pool(x)))


def _in_turn(layers, x):
    for layer in layers:
        x = layer(x)
    return x


@keras.saving.register_keras_serializable(package="glomo_keras")
class _UniformMessages(keras.layers.Layer):
    """`A H` of the forward graph of `UniformGraph`: means of what was before.

    Sums in place of the graph, whose T^2 weights are all known.
    """

    def call(self, features):
        features = ops.cast(features, "float32")
        counts = ops.arange(ops.shape(features)[1], dtype="float32")
        before = ops.cumsum(features, axis=1) - features
        means = before / ops.maximum(counts, 1.0)[:, None]
        means = ops.where(counts[:, None] > 0, means, 0.0)
        return {f"{DIRECTIONS[0]}_messages": ops.expand_dims(means, 1)}

    def compute_output_spec(self, features):
        batch, length, width = features.shape
        spec = keras.KerasTensor((batch, 1, length, width), dtype="float32")
        return {f"{DIRECTIONS[0]}_messages": spec}
