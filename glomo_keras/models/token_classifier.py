import keras

from glomo_keras.models.text_model import TextModel
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class TokenClassifier(TextModel):
    """Classifies each word of a text with a linear layer.

        E = embed(inputs)   or transfer(embed(inputs), graphs)
        logits = W E        or W relu(W_1 E) with a hidden layer

    Nothing but the graphs lets a word see the others, so this is the plainest
    test of what they carry. Dropout follows the embeddings.

    Args:
        features, graphs, transfer: See `TextClassifier`.
        num_classes: Integer. Defaults to `2`.
        hidden_dim: Integer, units of the hidden layer; 0 for none. Defaults
            to `0`.
        dropout: Float. Defaults to `0.0`.
        seed, dtype, name, trainable: See `TextClassifier`.

    Call arguments:
        inputs: Dict of `padding_mask`, boolean `(B, T)`, the inputs of
            `features`, and those of the source.
        training: Boolean.

    Returns:
        Dict of `logits`, float32 `(B, T, num_classes)`. Those of padding mean
        nothing: give them the sample weight 0.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import keras, numpy as np, glomo_keras as gk
    >>> model = gk.models.TokenClassifier(
    ...     {"word_ids": keras.layers.Embedding(100, 16)},
    ...     gk.layers.UniformGraph(), num_classes=5)
    >>> inputs = {"word_ids": np.array([[5, 6, 7]]),
    ...           "padding_mask": np.array([[True, True, True]])}
    >>> tuple(model(inputs)["logits"].shape)
    (1, 3, 5)
    """

    def __init__(
        self,
        features,
        graphs=None,
        transfer=None,
        num_classes=2,
        hidden_dim=0,
        dropout=0.0,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(num_classes=num_classes)
        check.check_rate(dropout=dropout)
        if hidden_dim:
            check.check_positive(hidden_dim=hidden_dim)
        super().__init__(features, graphs, transfer, "embeddings", dtype, name)

        # === Layers ===
        self.embedding_dropout = keras.layers.Dropout(
            dropout,
            seed=seed,
            dtype=self.dtype_policy,
            name="embedding_dropout",
        )
        self.hidden_dense = None
        if hidden_dim:
            self.hidden_dense = keras.layers.Dense(
                hidden_dim,
                activation="relu",
                dtype=self.dtype_policy,
                name="hidden",
            )
        self.logits_dense = keras.layers.Dense(
            num_classes, dtype="float32", name="logits"
        )

        # === Functional Model ===
        inputs = self.make_inputs()
        features = self.embedding_dropout(self.embed(inputs))
        if self.hidden_dense is not None:
            features = self.hidden_dense(features)
        logits = self.logits_dense(features)
        self.set_network(inputs, {"logits": logits}, trainable)

        # === Config ===
        self.num_classes = num_classes
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.seed = seed

    def get_config(self):
        config = super().get_config()
        del config["placement"]
        return {
            **config,
            "num_classes": self.num_classes,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout,
            "seed": self.seed,
        }
