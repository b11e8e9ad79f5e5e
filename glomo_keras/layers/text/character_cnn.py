import keras
from keras import ops

from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class CharacterCNN(keras.layers.Layer):
    """Encodes words from letters: embedding, convolution, maximum.

        c_t = max_p (b + sum_j W_j e_{t, p + j})

    over all places p of a window within the letters of word t, including
    padding (id 0, whose embedding is trained like any other). There is no
    activation.

    Args:
        vocabulary_size: Integer, number of different letters.
        embedding_dim: Integer, width of the letters' embeddings. Defaults to
            `8`.
        filters: Integer, width of the output. Defaults to `100`.
        kernel_size: Integer, letters in a window. Defaults to `5`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        letter_ids: Integer tensor `(B, T, W)`, W letters of each word.

    Returns:
        Tensor `(B, T, filters)`.

    Raises:
        ValueError: If an argument is out of its range, ids have another rank,
            or words are shorter than a window.

    Example:

    >>> import keras, glomo_keras as gk
    >>> ids = keras.ops.ones((2, 5, 16), "int32")
    >>> tuple(gk.layers.CharacterCNN(50)(ids).shape)
    (2, 5, 100)

    Reference:
        Kim 2014, "Convolutional Neural Networks for Sentence Classification";
        the sizes of the released code of Yang et al. 2018.
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim=8,
        filters=100,
        kernel_size=5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(
            vocabulary_size=vocabulary_size,
            embedding_dim=embedding_dim,
            filters=filters,
            kernel_size=kernel_size,
        )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, letter_ids_shape):
        self._check_shape(letter_ids_shape)
        options = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.embedding = keras.layers.Embedding(
            self.vocabulary_size,
            self.embedding_dim,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="embedding",
            **options,
        )
        self.embedding.build(letter_ids_shape)
        self.convolution = keras.layers.Conv1D(
            self.filters,
            self.kernel_size,
            data_format="channels_last",
            name="convolution",
            **options,
        )
        self.convolution.build((None, letter_ids_shape[2], self.embedding_dim))

    def _check_shape(self, shape):
        check.check_rank("letter_ids", shape, 3, "(B, T, W)")
        if shape[2] is None or shape[2] < self.kernel_size:
            raise ValueError(
                f"Words need at least {self.kernel_size} letters, padding "
                f"included. Received: letter_ids.shape={tuple(shape)}"
            )

    def call(self, letter_ids):
        shape = ops.shape(letter_ids)
        letters = self.embedding(ops.reshape(letter_ids, (-1, shape[2])))
        windows = self.convolution(letters)  # (B T, W - k + 1, filters)
        words = ops.max(windows, axis=1)
        return ops.reshape(words, (shape[0], shape[1], self.filters))

    def compute_output_shape(self, letter_ids_shape):
        self._check_shape(letter_ids_shape)
        return (*letter_ids_shape[:2], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }
