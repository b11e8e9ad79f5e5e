import keras
from keras import ops


class _ElmoCharacterEncoder(keras.layers.Layer):
    """Encodes words from characters: integer `(B, T, C)` to `(B, T, p)`.

    Convolutions of several widths over the characters, the maximum over all
    windows, highway layers `y = g * relu(W x + b) + (1 - g) * x`, and a
    projection.
    """

    def __init__(
        self,
        embedding_dim,
        filters,
        num_highway,
        projection_dim,
        num_characters,
        activation,
        use_projection,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.filters = filters
        self.num_highway = num_highway
        self.projection_dim = projection_dim
        self.num_characters = num_characters
        self.activation = activation
        self.use_projection = use_projection
        self._options = {
            "dtype": self.dtype_policy,
            "trainable": self.trainable,
        }

    def build(self, char_ids_shape):
        self.embedding = keras.layers.Embedding(
            self.num_characters,
            self.embedding_dim,
            name="embedding",
            **self._options,
        )
        self.embedding.build()
        self.convolutions = [
            keras.layers.Conv1D(
                count,
                width,
                data_format="channels_last",
                name=f"convolution_{index}",
                **self._options,
            )
            for index, (width, count) in enumerate(self.filters)
        ]
        for layer in self.convolutions:
            layer.build((None, char_ids_shape[-1], self.embedding_dim))
        total = sum(count for _, count in self.filters)
        self.gates = [
            self._dense(total, total, f"gate_{index}", "sigmoid")
            for index in range(self.num_highway)
        ]
        self.transforms = [
            self._dense(total, total, f"transform_{index}", "relu")
            for index in range(self.num_highway)
        ]
        if self.use_projection:
            self.projection = self._dense(
                total, self.projection_dim, "projection"
            )

    def _dense(self, width, units, name, activation=None):
        layer = keras.layers.Dense(
            units, activation=activation, name=name, **self._options
        )
        layer.build((None, width))
        return layer

    def call(self, char_ids):
        num_characters = char_ids.shape[-1]
        words = ops.reshape(char_ids, (-1, num_characters))  # (B * T, C)
        characters = self.embedding(words)  # (B * T, C, e)
        # The maximum goes first: the activations are monotone.
        found = [ops.max(c(characters), axis=1) for c in self.convolutions]
        activation = keras.activations.get(self.activation)
        x = activation(ops.concatenate(found, axis=-1))  # (B * T, F)
        for gate, transform in zip(self.gates, self.transforms, strict=True):
            share = gate(x)
            x = share * transform(x) + (1 - share) * x
        if self.use_projection:
            x = self.projection(x)  # (B * T, p)
        batch, length = ops.shape(char_ids)[:2]
        return ops.reshape(x, (batch, length, self.projection_dim))
