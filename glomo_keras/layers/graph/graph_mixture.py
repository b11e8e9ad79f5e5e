import keras
from keras import ops

from glomo_keras.ops.graphs import layers_and_heads
from glomo_keras.ops.mixture import apply_mixture
from glomo_keras.ops.mixture import is_always_short
from glomo_keras.ops.mixture import mix_graphs
from glomo_keras.ops.mixture import num_terms
from glomo_keras.ops.row_blocks import supports_jit
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GraphMixture(keras.layers.Layer):
    """Graphs of all layers and heads, mixed into one, Sec. 2.2.

        M = sum_n w_n A_n,   w = softmax

    over the N terms `G^1, G^2, P^2, G^3, P^3, ...`, each with its K heads,
    where `P^l = G^l @ ... @ G^1` is the paper's Lambda in this package's
    orientation (rows are receivers). `P^1 = G^1` is not listed twice:
    N = (2L - 1) K; without products N = L K.

    The weights w are free parameters (zeros: all terms alike), or, when
    `conditioned`, a linear function of the receiver's features: one set of
    weights per row of M, with dropout on the features.

    `M @ H` is computed without M where that is cheaper, in float32.

    Args:
        num_mixtures: integer n. Several mixtures share the work on the terms.
        conditioned: boolean, weights from the features rather than free.
        include_products: boolean, whether the products P^l take part.
        dropout: float, share of the features' channels dropped for a whole
            sequence before they give the weights, drawn for each mixture.
        direction: `"forward"` or `"backward"`, of a graph in factored form.
        activation: that of the `SquaredReLUGraph` that made the factors.
        seed: integer seed of the dropout.
        max_length: integer or None, the most units that inputs have. Training
            on short inputs of varying length is faster where it is known;
            longer ones only cost more.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        graphs: `(B, L, K, T, T)`, or its factors.
        features: H, tensor `(B, T, d)`, the units in the order of the graphs.
            Required when `conditioned`.
        padding_mask: boolean `(B, T)`, True = real unit; for factors. The
            Keras mask of `features` is used where it is not given.
        return_graph: boolean, whether to return M beside `M @ H`.
        training: boolean.

    Returns:
        Without features M, `(B, T, T)`; with features `M @ H`, `(B, T, d)`;
        with `return_graph` the pair `(M @ H, M)`. For n > 1 an axis n stands
        behind the batch axis: `(B, n, T, ...)`.

    Raises:
        ValueError: an argument out of its range, graphs of another rank,
            lengths that differ, no features where they are required, another
            number of graphs than at first.

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
        direction="forward",
        activation="squared_relu",
        seed=None,
        max_length=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(num_mixtures=num_mixtures)
        if max_length is not None:
            check.check_positive(max_length=max_length)
        check.check_rate(dropout=dropout)
        check.check_direction(direction)
        check.check_activation(activation)
        self.num_mixtures = num_mixtures
        self.conditioned = conditioned
        self.include_products = include_products
        self.dropout = dropout
        self.direction = direction
        self.activation = activation
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
        terms = num_terms(shape[1], shape[2], self.include_products)
        if features_shape is not None and not is_always_short(
            shape[1], features_shape[-1], self.include_products, self.max_length
        ):
            self.supports_jit = supports_jit(shape[-2])
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
        shape = check.checked_graph_shape(
            "graphs", graphs_shape, (5,), "(B, L, K, T, T)"
        )
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

    def _check_terms(self, graphs):
        layers, heads = layers_and_heads(graphs)
        terms = num_terms(layers, heads, self.include_products)
        if terms != self.logits.shape[-1]:
            raise ValueError(
                f"The mixture has weights for {self.logits.shape[-1]} terms: "
                "`graphs` must have the layers L and heads K that it was built "
                f"with. Received: graphs of L={layers}, K={heads}, which make "
                f"{terms} terms"
            )

    def call(
        self,
        graphs,
        features=None,
        padding_mask=None,
        return_graph=False,
        features_mask=None,
        training=None,
    ):
        mask = features_mask if padding_mask is None else padding_mask
        tensor = graphs["keys"] if isinstance(graphs, dict) else graphs
        check.check_padding_mask(mask, tensor.shape[-2])
        self._check_terms(graphs)
        options = {
            "padding_mask": mask,
            "direction": self.direction,
            "activation": self.activation,
        }
        weights = self.mixture_weights(features, training=training)
        mix = (weights, self.include_products)
        outputs = []
        if features is not None:
            outputs.append(
                apply_mixture(
                    graphs, features, *mix, self.max_length, **options
                )
            )
        if features is None or return_graph:
            outputs.append(mix_graphs(graphs, *mix, **options))
        outputs = [self._finish(x) for x in outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def mixture_weights(self, features=None, training=False):
        """The weights w that sum to 1 over the N terms.

        Args:
            features: tensor `(B, T, d)`; used when conditioned.
            training: boolean, whether the dropout acts.

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
        logits = ops.cast(logits, "float32")
        # `ops.softmax` would warn where there is a single term.
        return ops.exp(ops.log_softmax(logits, axis=-1))

    def _finish(self, outputs):
        if self.num_mixtures == 1:
            outputs = ops.squeeze(outputs, 1)
        return ops.cast(outputs, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(
        self,
        graphs,
        features=None,
        padding_mask=None,
        return_graph=False,
        features_mask=None,
        training=None,
    ):
        shapes = keras.tree.map_structure(lambda x: x.shape, graphs)
        wanted = []
        if features is not None:
            wanted.append(self.compute_output_shape(shapes, features.shape))
        if features is None or return_graph:
            wanted.append(self.compute_output_shape(shapes))
        specs = [keras.KerasTensor(s, dtype=self.compute_dtype) for s in wanted]
        return specs[0] if len(specs) == 1 else tuple(specs)

    def compute_output_shape(self, graphs_shape, features_shape=None):
        graph = check.checked_graph_shape(
            "graphs", graphs_shape, (5,), "(B, L, K, T, T)"
        )
        last = graph[-1] if features_shape is None else features_shape[-1]
        mixtures = () if self.num_mixtures == 1 else (self.num_mixtures,)
        return (graph[0], *mixtures, graph[-2], last)

    def get_config(self):
        return {
            **super().get_config(),
            "num_mixtures": self.num_mixtures,
            "conditioned": self.conditioned,
            "include_products": self.include_products,
            "dropout": self.dropout,
            "direction": self.direction,
            "activation": self.activation,
            "seed": self.seed,
            "max_length": self.max_length,
        }
