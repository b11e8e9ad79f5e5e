import keras
from keras import ops

from glomo_keras.ops.equations import mix_graphs
from glomo_keras.ops.equations import mixture_softmax
from glomo_keras.ops.equations import num_terms
from glomo_keras.ops.gather import gather_mixture
from glomo_keras.ops.gather import is_always_short
from glomo_keras.ops.graphs import check_same_heads
from glomo_keras.ops.graphs import check_square
from glomo_keras.ops.graphs import checked_graph_shape
from glomo_keras.ops.graphs import graph_shape
from glomo_keras.ops.graphs import layers_and_heads
from glomo_keras.ops.streaming import materialize
from glomo_keras.ops.streaming import supports_jit
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphMixture(keras.layers.Layer):
    """Mixes the graphs of all layers and heads into one, Sec. 2.2.

        M = sum_n w_n A_n,   w = softmax

    over the N terms `G^1, G^2, P^2, G^3, P^3, ...`, each with its K heads,
    where `P^l = G^l @ ... @ G^1` is the paper's Lambda in this package's
    orientation (rows are receivers). `P^1 = G^1` is not listed twice:
    N = (2L - 1) K; without products N = L K. The formula is
    `glomo_keras.ops.equations.mix_graphs`.

    The weights w are free parameters (zeros at first: all terms equal), or,
    when `conditioned`, a linear function of the receiver's features: one set
    of weights per row of M, with dropout on the features.

    `weighted_sum(graphs, features)` computes `M @ H`, without M where that is
    cheaper. Both are computed in float32.

    Args:
        num_mixtures: Integer n; several mixtures share the work on the terms.
            Defaults to `1`.
        conditioned: Whether the weights come from the features. Defaults to
            `False`.
        include_products: Whether the products P^l are among the terms.
            Defaults to `True`.
        dropout: Float, share of the features' channels dropped for a whole
            sequence before they give the weights, drawn for each mixture.
            Defaults to `0.0`.
        seed: Integer seed of the dropout. Defaults to `None`.
        max_length: Integer, the largest T there will be, if it is known.
            Training on short inputs of varying length is faster where it is;
            longer inputs only cost more. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        graphs: `(B, L, K, T, T)`, or its factors.
        features: Tensor `(B, T, d)` that the weights depend on; required and
            used when `conditioned`. Defaults to `None`.
        training: Boolean.

    Returns:
        M, tensor `(B, T, T)`, or `(B, n, T, T)` for n > 1.

    Raises:
        ValueError: If an argument is out of its range, the graphs have
            another rank or other numbers of layers and heads than at first,
            lengths differ, or features are missing.

    Example:

    >>> import keras, glomo_keras as gk
    >>> graphs = keras.ops.zeros((2, 3, 4, 5, 5))
    >>> tuple(gk.layers.GraphMixture()(graphs).shape)
    (2, 5, 5)

    Reference:
        Yang et al. 2018, Sec. 2.2; the conditioned form as in the released
        code.
    """

    def __init__(
        self,
        num_mixtures=1,
        conditioned=False,
        include_products=True,
        dropout=0.0,
        seed=None,
        max_length=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(num_mixtures=num_mixtures)
        check.check_positive_or_none(max_length=max_length)
        check.check_rate(dropout=dropout)
        self.num_mixtures = num_mixtures
        self.conditioned = conditioned
        self.include_products = include_products
        self.dropout = dropout
        self.seed = seed
        self.max_length = max_length
        self.supports_masking = True
        self.dropout_layer = keras.layers.Dropout(
            dropout,
            noise_shape=(None, None, 1, None),
            seed=seed,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="dropout",
        )

    def build(self, graphs_shape, features_shape=None):
        shape = self._check_shapes(graphs_shape, features_shape)
        self.layers_and_heads = tuple(shape[1:3])
        terms = num_terms(*self.layers_and_heads, self.include_products)
        if self.conditioned:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(self.num_mixtures, features_shape[-1], terms),
                initializer="glorot_uniform",
            )
        self.logits = self.add_weight(
            name="logits",
            shape=(self.num_mixtures, terms),
            initializer="zeros",
        )

    def _check_shapes(self, graphs_shape, features_shape):
        shape = checked_graph_shape(
            "graphs", graphs_shape, (5,), "(B, L, K, T, T)"
        )
        check_square("graphs", shape)
        if features_shape is not None:
            check.check_rank("features", features_shape, 3, "(B, T, d)")
            check.check_same_length(
                features=features_shape[1], graphs=shape[-1]
            )
        self._check_features(features_shape)
        return shape

    def _check_features(self, features):
        if self.conditioned and features is None:
            raise ValueError(
                "A conditioned mixture needs the features that give its "
                "weights: call it with `features`, or use conditioned=False. "
                "Received: features=None"
            )

    def call(self, graphs, features=None, training=None):
        check_same_heads(layers_and_heads(graphs), self.layers_and_heads)
        weights = self.mixture_weights(features, training=training)
        mixed = mix_graphs(
            materialize(graphs), weights, self.include_products
        )  # (B, n, T, T)
        return self._finish(mixed)

    def weighted_sum(self, graphs, features, training=False):
        """Returns `M @ H`: what each position gathers from the others.

        Short inputs go through M; long ones through the layers one by one, in
        blocks of rows, in memory that grows with T.

        Args:
            graphs: `(B, L, K, T, T)`, or its factors.
            features: H, tensor `(B, T, d)`; a conditioned mixture takes its
                weights from it too.
            training: Whether the dropout acts. Defaults to `False`.

        Returns:
            Tensor `(B, T, d)`, or `(B, n, T, d)` for n > 1.
        """
        if not self.built:
            shapes = keras.tree.map_structure(lambda x: x.shape, graphs)
            self.build(shapes, features.shape)
        check_same_heads(layers_and_heads(graphs), self.layers_and_heads)
        total = gather_mixture(
            graphs,
            features,
            self.mixture_weights(features, training=training),
            self.include_products,
            self.max_length,
        )  # (B, n, T, d)
        return self._finish(total)

    def sum_supports_jit(self, graphs_shape, features_shape):
        """Returns whether XLA compiles the gradient of `weighted_sum`."""
        shape = graph_shape(graphs_shape)
        return supports_jit(shape[-1]) or is_always_short(
            shape[1], features_shape[-1], self.include_products, self.max_length
        )

    def mixture_weights(self, features=None, training=False):
        """Returns the weights w, which sum to 1 over the N terms.

        Args:
            features: Tensor `(B, T, d)`; used when conditioned. Defaults to
                `None`.
            training: Whether the dropout acts. Defaults to `False`.

        Returns:
            Float32 tensor `(n, N)`, or `(B, T, n, N)` when conditioned.
        """
        self._check_features(features)
        logits = ops.convert_to_tensor(self.logits)
        if self.conditioned:
            features = ops.expand_dims(features, 1)
            features = ops.repeat(features, self.num_mixtures, axis=1)
            features = self.dropout_layer(features, training=training)
            scores = ops.einsum("bntd,ndm->btnm", features, self.kernel)
            logits = scores + logits  # (B, T, n, N)
        return mixture_softmax(logits)

    def _finish(self, outputs):
        if self.num_mixtures == 1:
            outputs = ops.squeeze(outputs, 1)
        return ops.cast(outputs, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, graphs_shape, features_shape=None):
        batch, *_, length = self._check_shapes(graphs_shape, features_shape)
        mixtures = () if self.num_mixtures == 1 else (self.num_mixtures,)
        return (batch, *mixtures, length, length)

    def get_config(self):
        return {
            **super().get_config(),
            "num_mixtures": self.num_mixtures,
            "conditioned": self.conditioned,
            "include_products": self.include_products,
            "dropout": self.dropout,
            "seed": self.seed,
            "max_length": self.max_length,
        }
