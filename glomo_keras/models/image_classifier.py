import types

import keras
from keras import ops

from glomo_keras.layers import GraphMessages
from glomo_keras.layers import MessageTransfer
from glomo_keras.layers import UniformGraph
from glomo_keras.models._resnet import BLOCKS
from glomo_keras.models._resnet import ResNet
from glomo_keras.models.network_model import Network
from glomo_keras.models.network_model import NetworkModel
from glomo_keras.utils import validation as check

CHANNEL_MEANS = (0.4914, 0.4822, 0.4465)  # of CIFAR-10, values 0 to 1
CHANNEL_DEVIATIONS = (0.2023, 0.1994, 0.2010)


@keras.saving.register_keras_serializable(package="glomo_keras")
class ImageClassifier(NetworkModel):
    """Classifies small images with a ResNet, with or without pixel graphs.

    The features H are the pixels, normalised by channel. With graphs they are
    mixed into one M, and `[H; gate(H, M H)]` goes into the network in place
    of H, Sec. 3.5. The ResNet has the form that is usual on CIFAR, see
    `ResNet`. Without graphs and with 10 classes it has 11,173,962 (18) or
    21,282,122 (34) trainable parameters; Keras counts the moving means and
    variances of the batch normalisations as well.

    The graphs are never held: `GraphMessages` gathers the pixels along each of
    them, and only these messages are mixed. They do not change in training,
    so they may be computed once: `message_model()` computes them, and
    `on_messages()` is this model with them as an input.

    Args:
        num_classes: Integer. Defaults to `10`.
        depth: 18 or 34. Defaults to `18`.
        image_size: Integer, pixels a side. Defaults to `32`.
        graphs: Source of graphs: `PredictedGraphs` of an
            `ImageGraphPredictor`, or `UniformGraph()`, of which the forward
            graph is used: all earlier pixels have the same weight. Defaults
            to `None`, the baseline without.
        transfer: `MessageTransfer`, or another layer
            `call(features, messages)`. Defaults to `None`, which is
            `MessageTransfer()`.
        include_products: Boolean, see `GraphMixture`. Defaults to `True`.
        dtype: Dtype policy.
        name: String.
        trainable: Boolean; False freezes the whole model. Defaults to `True`.

    Call arguments:
        inputs: Dict of `images`, uint8 `(B, S, S, 3)`.
        training: Boolean.

    Returns:
        Dict of `logits`, float32 `(B, num_classes)`.

    Raises:
        ValueError: If an argument is out of its range, or `graphs` are not
            made from images.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> model = gk.ImageClassifier(
    ...     image_size=8, graphs=gk.layers.UniformGraph())
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
        graphs=None,
        transfer=None,
        include_products=True,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(num_classes=num_classes, image_size=image_size)
        check.check_option("depth", depth, tuple(BLOCKS))
        super().__init__(dtype=dtype, name=name)
        dtype = self.dtype_policy

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
        check.check_transfer(graphs, transfer)
        names = tuple(getattr(graphs, "input_names", ()))
        uniform = isinstance(graphs, UniformGraph)
        if graphs is not None and not uniform and names != ("images",):
            raise ValueError(
                "`graphs` must be made from images, or a `UniformGraph`. "
                f"Received: graphs={graphs}"
            )
        self.graphs = graphs
        self.messages = self.transfer = None
        if graphs is not None:
            self.messages = _message_layer(graphs, include_products, dtype)
            self.transfer = transfer or MessageTransfer(
                dtype=dtype, name="transfer"
            )
        self.flatten = keras.layers.Reshape(
            (-1, 3), dtype=dtype, name="flatten"
        )
        self.unflatten = keras.layers.Reshape(
            (image_size, image_size, -1), dtype=dtype, name="unflatten"
        )
        resnet = ResNet(depth, num_classes, dtype)
        self.resnet_layers = resnet.layers()

        # === Functional Model ===
        inputs = {
            "images": keras.Input(
                (image_size, image_size, 3), dtype="uint8", name="images"
            )
        }
        features = self.normalization(inputs["images"])
        if graphs is None:
            outputs = {"logits": resnet(features)}
        else:
            features = self.flatten(features)  # (B, T, 3)
            messages = self._gather(features, inputs)
            outputs = self._classify(resnet, features, messages)
            given = {
                name: keras.Input(x.shape[1:], dtype="float32", name=name)
                for name, x in messages.items()
            }
            self._parts = types.SimpleNamespace(
                messages=Network(inputs, messages, name="message_model"),
                on_messages=Network(
                    {**inputs, **given},
                    self._classify(resnet, features, given),
                    name="on_messages",
                ),
            )
        self.set_network(inputs, outputs, trainable)

        # === Config ===
        self.num_classes = num_classes
        self.depth = depth
        self.image_size = image_size
        self.include_products = include_products

    def _gather(self, features, inputs):
        """Returns the messages, dict of `(B, N, T, 3)`."""
        if isinstance(self.graphs, UniformGraph):
            return self.messages(features)
        return self.messages(features, self.graphs(inputs))

    def _classify(self, resnet, features, messages):
        fused = self.unflatten(self.transfer(features, messages))
        return {"logits": resnet(fused)}

    def message_model(self):
        """Returns a model from images to messages, see `GraphMessages`.

        Returns:
            `keras.Model`, which shares this model's layers. Its outputs are
            `forward_messages` and, of a bidirectional predictor,
            `backward_messages`, float32 `(B, N, T, 3)`.

        Raises:
            ValueError: If this model has no graphs.
        """
        self._check_graphs()
        return self._parts.messages

    def on_messages(self):
        """Returns this model with messages and images as inputs.

        Returns:
            `keras.Model`, which shares this model's layers but the graph
            predictor. Its inputs are `images` and the outputs of
            `message_model`, which may be float16.

        Raises:
            ValueError: If this model has no graphs.
        """
        self._check_graphs()
        return self._parts.on_messages

    def _check_graphs(self):
        if self.graphs is None:
            raise ValueError(
                "A model without graphs has no messages. Received: graphs=None"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "depth": self.depth,
            "image_size": self.image_size,
            "graphs": self.graphs and keras.layers.serialize(self.graphs),
            "transfer": self.transfer and keras.layers.serialize(self.transfer),
            "include_products": self.include_products,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: config[name] and keras.layers.deserialize(config[name])
            for name in ("graphs", "transfer")
        }
        return super().from_config({**config, **parts})


def _message_layer(graphs, include_products, dtype):
    if not isinstance(graphs, UniformGraph):
        return GraphMessages(include_products, dtype=dtype, name="messages")
    if graphs.edges != "one_sided":
        raise ValueError(
            "Images take the one-sided uniform graph. "
            f"Received: UniformGraph(edges={graphs.edges!r})"
        )
    return _UniformMessages(dtype=dtype, name="messages")


@keras.saving.register_keras_serializable(package="glomo_keras")
class _UniformMessages(keras.layers.Layer):
    """Computes `A H` of the forward graph of `UniformGraph`: running means.

    They are computed from sums, without the T x T graph.
    """

    def call(self, features):
        features = ops.cast(features, "float32")
        counts = ops.arange(ops.shape(features)[1], dtype="float32")
        before = ops.cumsum(features, axis=1) - features
        means = before / ops.maximum(counts, 1.0)[:, None]
        means = ops.where(counts[:, None] > 0, means, 0.0)
        return {"forward_messages": ops.expand_dims(means, 1)}

    def compute_output_spec(self, features):
        batch, length, width = features.shape
        spec = keras.KerasTensor((batch, 1, length, width), dtype="float32")
        return {"forward_messages": spec}

    def get_config(self):
        # Without this, Keras cannot serialize a layer with a `DTypePolicy`.
        return super().get_config()
