import keras
from keras import ops

from glomo_keras.layers import ScalarMix
from glomo_keras.models.frozen_layer import FrozenLayer
from glomo_keras.models.frozen_layer import frozen_copy
from glomo_keras.models.text_predictor import check_of_texts


@keras.saving.register_keras_serializable(package="glomo_keras")
class PretrainedFeatures(keras.layers.Layer):
    """Computes features for a task model: the mixed layers of a frozen f.

    The feature predictor f, which GLoMo throws away after pretraining, is a
    language model of both directions. As ELMo does with its own, this layer
    mixes the embeddings F^0 and the layers of f by learned weights:

        output = gamma * sum_l softmax(w)_l [forward F^l; backward F^l]

    with l = 0 .. L (0 and 1 if f is flat, see `FeaturePredictor`). Both
    networks are frozen copies in inference mode, whatever the model around
    them does; only w and gamma are trained.

    Args:
        graph_predictor: g, a `GraphPredictor` or `CoupledGraphPredictor`.
        feature_predictor: f, the `FeaturePredictor` trained with it.
        normalize: Boolean, see `ScalarMix`. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Dict of the graph predictor's inputs: `token_ids`, int32
            `(B, T)`, and `padding_mask`, boolean `(B, T)`, True = real
            position.

    Returns:
        Tensor `(B, T, 2 * d)`, 0 in the padding. Its Keras mask is the padding
        mask.

    Raises:
        ValueError: If g is not one of texts, or f does not fit it.

    Example:

    >>> import keras, glomo_keras as gk
    >>> predictor = gk.GraphPredictor(
    ...     vocabulary_size=100, embedding_dim=16, num_heads=2, key_dim=4)
    >>> pretrainer = gk.ContextPretrainer(predictor)  # to be trained
    >>> features = gk.models.PretrainedFeatures(
    ...     pretrainer.graph_predictor, pretrainer.feature_predictor)
    >>> model = gk.models.TextClassifier({"token_ids": features}, hidden_dim=8)
    >>> sorted(model.input)
    ['padding_mask', 'token_ids']

    Reference:
        Yang et al. 2018, Sec. 2.1 (f); Peters et al. 2018, Eq. 1 (the mix).
    """

    def __init__(
        self, graph_predictor, feature_predictor, normalize=False, **kwargs
    ):
        super().__init__(**kwargs)
        _check_fit(graph_predictor, feature_predictor)
        self.networks = _FrozenNetworks(
            graph_predictor,
            feature_predictor,
            dtype=graph_predictor.dtype_policy,
            name="networks",
        )
        self.normalize = normalize
        self.mix = ScalarMix(
            normalize,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="mix",
        )
        self.supports_masking = True

    @property
    def input_names(self):
        """Names of the inputs that the features are made from."""
        return tuple(self.networks.graph_predictor.input)

    def build(self, inputs_shape):
        self.mix.build(self.networks.compute_output_shape(inputs_shape))

    def call(self, inputs):
        mask = ops.cast(inputs["padding_mask"], "bool")
        layers = self.networks(inputs)  # (B, 1 + L, T, 2 * d)
        layers = ops.where(mask[:, None, :, None], layers, 0)
        return self.mix(layers, padding_mask=mask)

    def compute_mask(self, inputs, previous_mask):
        return ops.cast(inputs["padding_mask"], "bool")

    def compute_output_shape(self, inputs_shape):
        batch, _, *others = self.networks.compute_output_shape(inputs_shape)
        return (batch, *others)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "graph_predictor": serialize(self.networks.graph_predictor),
            "feature_predictor": serialize(self.networks.feature_predictor),
            "normalize": self.normalize,
        }

    @classmethod
    def from_config(cls, config):
        names = ("graph_predictor", "feature_predictor")
        read = keras.saving.deserialize_keras_object
        return cls(**{**config, **{name: read(config[name]) for name in names}})


class _FrozenNetworks(FrozenLayer):
    """Computes embeddings and layers of f; a layer, so it has a policy."""

    def __init__(self, graph_predictor, feature_predictor, **kwargs):
        super().__init__(**kwargs)
        self.graph_predictor = frozen_copy(graph_predictor)
        self.feature_predictor = frozen_copy(feature_predictor)

    def call(self, inputs):
        g = self.graph_predictor
        embedded = g.embed(inputs)
        factors = g.layer_by_layer(
            embedded, inputs["padding_mask"], training=False
        )
        directions = [
            [embedded, *self._features(direction, embedded, layers)]
            for direction, layers in factors.items()
        ]
        layers = [
            ops.concatenate(of_layer, axis=-1)  # (B, T, 2 * d)
            for of_layer in zip(*directions, strict=True)
        ]
        return ops.stop_gradient(ops.stack(layers, axis=1))

    def _features(self, direction, embedded, factors):
        graphs = [self.graph_predictor.readable(factor) for factor in factors]
        return self.feature_predictor.layer_by_layer(
            direction, embedded, graphs
        )

    def compute_output_shape(self, inputs_shape):
        f = self.feature_predictor
        count = f.num_graph_layers if f.messages == "slices" else 1
        batch, length = inputs_shape["token_ids"]
        width = len(f.directions) * f.embedding_dim
        return (batch, 1 + count, length, width)


def _check_fit(predictor, features):
    check_of_texts(predictor)
    for name in (
        "embedding_dim",
        "num_graph_layers",
        "num_heads",
        "directions",
    ):
        ours, theirs = getattr(predictor, name), getattr(features, name)
        if ours != theirs:
            raise ValueError(
                "`feature_predictor` must be the one trained with "
                f"`graph_predictor`, whose {name} is {ours}. "
                f"Received: feature_predictor with {name}={theirs}"
            )
