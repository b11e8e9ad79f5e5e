import keras
from keras import ops

DIRECTIONS = ("forward", "backward")


class PlainPretrainer(keras.Model):
    """`glomo_keras.ContextPretrainer` as one would write it in stock layers.

    What the benchmark compares the package with: the same function of the
    same parameters, with no thought for speed. The backward direction is the
    forward one on the reversed sequence; every graph is an array, normalised
    before it is used; every layer is computed at all positions, those to be
    decoded are picked at the end; the logits are one array `(B, N, D, V)`.

    Args:
        vocabulary_size: integer, V.
        embedding_dim: integer, d.
        num_heads: integer, K.
        key_dim: integer, C.
        kernel_size: integer, width of the convolutions.
        num_conv_layers: integer, convolutions in each CNN.
        num_graph_layers: integer, L.
        context_length: integer, D.
        num_positions: integer or None, positions decoded in training.
        num_decoder_layers: integer, GRU layers of the decoder.
        seed: integer, of the positions.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: dict of `token_ids`, int32 `(B, T)`, and `padding_mask`,
            boolean `(B, T)`, True = real unit.
        training: boolean.

    Returns:
        Dict of scalars: `loss`, `forward_loss`, `backward_loss`.
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim=512,
        num_heads=8,
        key_dim=256,
        kernel_size=3,
        num_conv_layers=4,
        num_graph_layers=3,
        context_length=3,
        num_positions=None,
        num_decoder_layers=2,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.context_length = context_length
        self.num_positions = num_positions
        self.token_embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=keras.initializers.RandomUniform(-0.1, 0.1),
            name="token_embedding",
        )
        self.directions = {
            direction: PlainDirection(
                embedding_dim,
                num_heads,
                key_dim,
                kernel_size,
                num_conv_layers,
                num_graph_layers,
                context_length,
                num_decoder_layers,
                name=direction,
            )
            for direction in DIRECTIONS
        }
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        token_ids, mask = inputs["token_ids"], inputs["padding_mask"]
        forward = self._loss("forward", token_ids, mask, training)
        backward = self._loss(
            "backward",
            ops.flip(token_ids, axis=1),
            ops.flip(mask, axis=1),
            training,
        )
        return {
            "loss": 0.5 * (forward + backward),
            "forward_loss": forward,
            "backward_loss": backward,
        }

    def _loss(self, direction, token_ids, mask, training):
        length = ops.shape(token_ids)[1]
        positions = self._positions(length, training)  # (N,)
        steps = ops.arange(1, self.context_length + 1)
        context = ops.expand_dims(positions, 1) + steps  # (N, D)
        inside = context < length
        context = ops.minimum(context, length - 1)
        states = self.directions[direction](
            self.token_embedding(token_ids),
            mask,
            positions,
            context,
            training=training,
        )
        embeddings = ops.cast(self.token_embedding.embeddings, states.dtype)
        logits = ops.matmul(states, ops.transpose(embeddings))  # (B, N, D, V)
        entropies = ops.sparse_categorical_crossentropy(
            ops.take(token_ids, context, axis=1),
            ops.cast(logits, "float32"),
            from_logits=True,
        )  # (B, N, D)
        real = ops.take(mask, context, axis=1)
        real = ops.logical_and(real, inside)
        real = ops.logical_and(
            real, ops.expand_dims(ops.take(mask, positions, axis=1), 2)
        )
        weights = ops.cast(real, "float32")
        return ops.divide_no_nan(ops.sum(weights * entropies), ops.sum(weights))

    def _positions(self, length, training):
        if not training or self.num_positions is None:
            return ops.arange(length)
        return keras.random.randint(
            (self.num_positions,),
            0,
            length - self.context_length,
            seed=self.seed_generator,
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return y_pred["loss"]


class PlainDirection(keras.layers.Layer):
    """One direction, in the order in which it reads.

    Args:
        see `PlainPretrainer`.

    Call arguments:
        embedded: tensor `(B, T, d)`.
        padding_mask: boolean tensor `(B, T)`.
        positions: integer tensor `(N,)`.
        context: integer tensor `(N, D)`, the positions predicted.
        training: boolean.

    Returns:
        Tensor `(B, N, D, d)`: the states that predict.
    """

    def __init__(
        self,
        embedding_dim,
        num_heads,
        key_dim,
        kernel_size,
        num_conv_layers,
        num_graph_layers,
        context_length,
        num_decoder_layers,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.context_length = context_length
        self.convolutions = {
            name: [
                keras.layers.Conv1D(
                    embedding_dim, kernel_size, padding="causal"
                )
                for _ in range(num_conv_layers)
            ]
            for name in ("key", "query")
        }
        self.normalizations = {
            name: [
                keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
                for _ in range(num_conv_layers)
            ]
            for name in ("key", "query")
        }
        self.projections = {
            name: [
                keras.layers.Dense(num_heads * key_dim)
                for _ in range(num_graph_layers)
            ]
            for name in ("key", "query")
        }
        self.thresholds = [
            keras.layers.Dense(1) for _ in range(num_graph_layers)
        ]
        self.cell = keras.layers.GRUCell(embedding_dim)
        self.decoder = [
            keras.layers.GRU(embedding_dim, return_sequences=True)
            for _ in range(num_decoder_layers)
        ]

    def call(self, embedded, padding_mask, positions, context, training=None):
        keys = self._convolve("key", embedded, padding_mask, training)
        queries = self._convolve("query", embedded, padding_mask, training)
        features = embedded
        for layer in range(len(self.thresholds)):
            graph = self._graph(layer, keys, queries, padding_mask)
            features = self._compose(graph, features)
        return self._decode(
            ops.take(features, positions, axis=1), embedded, context
        )

    def _convolve(self, name, x, padding_mask, training):
        real = ops.cast(ops.expand_dims(padding_mask, 2), x.dtype)
        for convolution, normalization in zip(
            self.convolutions[name], self.normalizations[name], strict=True
        ):
            x = convolution(x * real)
            x = normalization(x, training=training, mask=padding_mask)
            x = ops.relu(x)
        return x

    def _graph(self, layer, keys, queries, padding_mask):
        keys = self._heads(self.projections["key"][layer](keys))
        queries = self._heads(self.projections["query"][layer](queries))
        scores = ops.einsum("btkc,bskc->bkts", queries, keys)
        thresholds = self.thresholds[layer](queries)  # (B, T, K, 1)
        scores = scores - ops.transpose(thresholds, (0, 2, 1, 3))
        weights = ops.square(ops.relu(ops.cast(scores, "float32")))
        units = ops.arange(ops.shape(keys)[1])
        earlier = ops.expand_dims(units, 0) < ops.expand_dims(units, 1)
        real = ops.logical_and(
            ops.expand_dims(padding_mask, 1), ops.expand_dims(padding_mask, 2)
        )
        allowed = ops.expand_dims(ops.logical_and(earlier, real), 1)
        weights = ops.where(allowed, weights, 0.0)
        sums = ops.sum(weights, axis=-1, keepdims=True)
        return ops.divide_no_nan(weights, sums)  # (B, K, T, T)

    def _heads(self, x):
        batch, length = ops.shape(x)[:2]
        return ops.reshape(x, (batch, length, self.num_heads, -1))

    def _compose(self, graph, features):
        batch, length = ops.shape(features)[:2]
        width = features.shape[-1]
        parts = ops.einsum(
            "bkts,bskw->btkw",
            ops.cast(graph, features.dtype),
            self._heads(features),
        )
        messages = ops.reshape(parts, (batch, length, width))
        inputs = ops.concatenate([messages * features, messages], axis=-1)
        outputs, _ = self.cell(
            ops.reshape(inputs, (-1, 2 * width)),
            [ops.reshape(features, (-1, width))],
        )
        return ops.reshape(outputs, (batch, length, width))

    def _decode(self, features, embedded, context):
        batch, count = ops.shape(features)[:2]
        width = features.shape[-1]
        fed = ops.take(embedded, context[:, :-1], axis=1)
        first = ops.expand_dims(ops.zeros_like(features), 2)
        outputs = ops.concatenate([first, fed], axis=2)  # (B, N, D, d)
        outputs = ops.reshape(outputs, (-1, self.context_length, width))
        state = ops.reshape(features, (-1, width))
        for layer in self.decoder:
            outputs = layer(outputs, initial_state=state)
        return ops.reshape(outputs, (batch, count, self.context_length, width))
