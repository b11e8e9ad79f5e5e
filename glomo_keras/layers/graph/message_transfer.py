import keras
from keras import ops

from glomo_keras.layers.graph.gated_graph_fusion import GatedGraphFusion
from glomo_keras.ops.equations import mixture_softmax
from glomo_keras.ops.equations import scaled_messages
from glomo_keras.ops.graphs import checked_directions
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class MessageTransfer(keras.layers.Layer):
    """Mixes, gates and appends messages that were computed before.

    With the messages `A_n H` of `GraphMessages`, for each direction and each
    of several mixtures

        R = scale * sum_n w_n (A_n H),  w = softmax(free parameters)

    and `[H, (W1 X + b1) * sigmoid(W2 X + b2)]`, X = [H, R, ...]. Parameters
    and results are those of `GraphTransfer` with free weights and its default
    gate.

    Args:
        num_mixtures: Integer n, mixtures per direction. Defaults to `1`.
        units: Integer, width of the gated part. Defaults to `None`, the width
            of the features.
        dropout: Float, dropout of the gate's inputs. Defaults to `0.0`.
        seed: Integer seed of the dropout. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: H, tensor `(B, T, d)`.
        messages: Dict of `forward_messages` and `backward_messages` (one of
            them is enough), each `(B, N, T, d)`.
        training: Boolean.

    Returns:
        Tensor `(B, T, d + units)`.

    Raises:
        ValueError: If an argument is out of its range, messages are not such
            a dict, have other directions than at first, ranks are wrong, or
            shapes differ from the features'.

    Example:

    >>> import keras, glomo_keras as gk
    >>> messages = {"forward_messages": keras.ops.zeros((2, 20, 5, 6))}
    >>> features = keras.ops.ones((2, 5, 6))
    >>> tuple(gk.layers.MessageTransfer()(features, messages).shape)
    (2, 5, 12)

    Reference:
        Yang et al. 2018, Sec. 2.2 and 2.3.
    """

    def __init__(
        self, num_mixtures=1, units=None, dropout=0.0, seed=None, **kwargs
    ):
        super().__init__(**kwargs)
        check.check_positive(num_mixtures=num_mixtures)
        self.num_mixtures = num_mixtures
        self.units = units
        self.dropout = dropout
        self.seed = seed
        self.supports_masking = True
        self.fusion = GatedGraphFusion(
            units=units,
            dropout=dropout,
            seed=seed,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="fusion",
        )

    def build(self, features_shape, messages_shape=None):
        directions = self._check_shapes(features_shape, messages_shape)
        self.logits = {
            direction: self.add_weight(
                name=f"{direction}_logits",
                shape=(
                    self.num_mixtures,
                    messages_shape[f"{direction}_messages"][1],
                ),
                initializer="zeros",
            )
            for direction in directions
        }
        self.scales = self.add_weight(
            name="scales",
            shape=(len(directions), self.num_mixtures),
            initializer="ones",
        )
        width = len(directions) * self.num_mixtures * features_shape[-1]
        self.fusion.build(features_shape, (*features_shape[:-1], width))

    def _check_shapes(self, features_shape, messages_shape):
        check.check_rank("features", features_shape, 3, "(B, T, d)")
        directions = checked_directions(messages_shape, "messages")
        for direction in directions:
            shape = messages_shape[f"{direction}_messages"]
            check.check_rank("messages", shape, 4, "(B, N, T, d)")
            check.check_same_length(
                features=features_shape[1], messages=shape[2]
            )
            if shape[-1] != features_shape[-1]:
                raise ValueError(
                    "`messages` must have the width of the features. Received:"
                    f" messages.shape={shape}, features.shape={features_shape}"
                )
        return directions

    def call(self, features, messages, training=None):
        checked_directions(messages, "messages", built=self.logits)
        sums = [
            ops.cast(
                ops.einsum(
                    "nm,bmtd->bntd",
                    self.mixture_weights(direction),
                    ops.cast(messages[f"{direction}_messages"], "float32"),
                ),
                self.compute_dtype,
            )  # (B, n, T, d)
            for direction in self.logits
        ]
        return self.fusion(
            features, scaled_messages(self.scales, sums), training=training
        )

    def mixture_weights(self, direction):
        """Returns one direction's weights, float32 `(n, N)`; rows sum to 1."""
        return mixture_softmax(ops.convert_to_tensor(self.logits[direction]))

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, features_shape, messages_shape):
        self._check_shapes(features_shape, messages_shape)
        return self.fusion.compute_output_shape(features_shape, features_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "num_mixtures": self.num_mixtures,
            "units": self.units,
            "dropout": self.dropout,
            "seed": self.seed,
        }
