import keras

from glomo_keras.models.predictor import Predictor
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check


class TextPredictor(Predictor):
    """Base class for graph predictors of texts: embedding and arguments.

    A subclass calls `make_embedding` first, and keeps each argument as an
    attribute of the same name.
    """

    directions = DIRECTIONS

    def make_embedding(self, vocabulary_size, embedding_dim, initializer):
        """Makes the layer `token_embedding`.

        Args:
            vocabulary_size: Integer V.
            embedding_dim: Integer d.
            initializer: Initializer, or None: uniform in [-0.1, 0.1].

        Raises:
            ValueError: If a size is below 1.
        """
        check.check_positive(
            vocabulary_size=vocabulary_size, embedding_dim=embedding_dim
        )
        if initializer is None:
            initializer = keras.initializers.RandomUniform(-0.1, 0.1)
        self.token_embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=initializer,
            dtype=self.dtype_policy,
            name="token_embedding",
        )

    def embed(self, inputs):
        """Returns F^0, the embeddings of the tokens, `(B, T, d)`."""
        return self.token_embedding(inputs["token_ids"])

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "num_graph_layers": self.num_graph_layers,
            "threshold": self.threshold,
            "activation": self.activation,
            "embeddings_initializer": keras.initializers.serialize(
                self.token_embedding.embeddings_initializer
            ),
        }


def check_of_texts(predictor):
    """Refuses a graph predictor that is not one of texts."""
    if getattr(predictor, "vocabulary_size", None) is None:
        raise ValueError(
            "`graph_predictor` must be a predictor of texts. "
            f"Received: graph_predictor={predictor}"
        )
