import keras

from glomo_keras.layers import BiAttention
from glomo_keras.layers import BidirectionalGRU
from glomo_keras.layers import MeanMaxPooling
from glomo_keras.models._layers_first_model import LayersFirstModel
from glomo_keras.models.task_graphs import TaskGraphs
from glomo_keras.models.text_inputs import deserialize_features
from glomo_keras.models.text_inputs import embed_text
from glomo_keras.models.text_inputs import serialize_features
from glomo_keras.models.text_inputs import text_inputs
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class TextClassifier(LayersFirstModel):
    """Classes of texts by an RNN, linear layers and self-attention.

        E = features, with graphs
        S = BiGRU(E), with graphs instead
        H = relu(W_1 [S; E])
        A = H + relu(W_2 BiAttention(H, H))
        logits = W_4 tanh(W_3 [mean(A); max(A)])

    Dropout follows the embeddings and precedes the two layers behind the
    pooling. The graphs stand where `TaskGraphs` puts them.

    Args:
        features: dict of input name to the layer that embeds this input:
            `{"word_ids": Embedding}`, `{"char_ids": Elmo}`, or several, whose
            outputs are put side by side.
        graphs: `TaskGraphs`, or None for none.
        num_classes: integer.
        hidden_dim: integer, units of the RNN in each direction and of the
            linear layers.
        dropout: float.
        seed: integer seed of the dropout.
        dtype: dtype policy.
        name: string.
        trainable: boolean.

    Call arguments:
        inputs: dict of `padding_mask`, boolean `(B, T)`, the inputs of
            `features`, and what `graphs` is made from (`token_ids`, int32
            `(B, T)`, of the predictor's vocabulary).
        training: boolean.

    Returns:
        Dict of `logits`, float32 `(B, num_classes)`.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> import keras, numpy as np, glomo_keras as gk
    >>> model = gk.models.TextClassifier(
    ...     {"word_ids": keras.layers.Embedding(100, 16)},
    ...     gk.models.TaskGraphs("uniform"), hidden_dim=8)
    >>> inputs = {"word_ids": np.array([[5, 6, 7]]),
    ...           "padding_mask": np.array([[True, True, True]])}
    >>> tuple(model(inputs)["logits"].shape)
    (1, 2)

    Reference:
        Yang et al. 2018, Sec. 3.1, who say of their model for IMDB that it
        has "RNNs, linear layers and self-attention".
    """

    def __init__(
        self,
        features,
        graphs=None,
        num_classes=2,
        hidden_dim=150,
        dropout=0.3,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(num_classes=num_classes, hidden_dim=hidden_dim)
        check.check_rate(dropout=dropout)
        features = deserialize_features(features)
        if isinstance(graphs, dict):
            graphs = keras.saving.deserialize_keras_object(graphs)
        graphs = TaskGraphs() if graphs is None else graphs
        dtype = keras.dtype_policies.get(dtype)

        # === Layers ===
        def dense(name, activation, units=hidden_dim):
            return keras.layers.Dense(
                units, activation=activation, dtype=dtype, name=name
            )

        def drop(name, offset):
            return keras.layers.Dropout(
                dropout,
                seed=None if seed is None else seed + offset,
                dtype=dtype,
                name=name,
            )

        self.embedding_dropout = drop("embedding_dropout", 0)
        self.rnn = BidirectionalGRU(
            hidden_dim, learn_initial_states=False, dtype=dtype, name="rnn"
        )
        self.shortcut = keras.layers.Concatenate(dtype=dtype, name="shortcut")
        self.states_dense = dense("states_dense", "relu")
        self.self_attention = BiAttention(dtype=dtype, name="self_attention")
        self.attention_dense = dense("attention_dense", "relu")
        self.residual = keras.layers.Add(dtype=dtype, name="residual")
        self.pooling = MeanMaxPooling(dtype=dtype, name="pooling")
        self.pooled_dropout = drop("pooled_dropout", 1)
        self.pooled_dense = dense("pooled_dense", "tanh")
        self.logits_dropout = drop("logits_dropout", 2)
        self.logits_dense = keras.layers.Dense(
            num_classes, dtype="float32", name="logits"
        )

        # === Functional Model ===
        inputs = text_inputs([*features, *graphs.input_names])
        inputs |= graphs.own_inputs()
        mask = inputs["padding_mask"]
        given = graphs.graphs_of(inputs)
        hidden = graphs.on_embeddings(embed_text(features, inputs), given, mask)
        embedded = self.embedding_dropout(hidden)
        hidden = graphs.on_states(self.rnn(embedded, mask=mask), given, mask)
        hidden = self.states_dense(self.shortcut([hidden, embedded]))
        attended = self.self_attention(
            hidden, hidden, features_mask=mask, memory_mask=mask
        )
        hidden = self.residual([hidden, self.attention_dense(attended)])
        pooled = self.pooling(hidden, padding_mask=mask)
        pooled = self.pooled_dense(self.pooled_dropout(pooled))
        logits = self.logits_dense(self.logits_dropout(pooled))
        super().__init__(inputs=inputs, outputs={"logits": logits}, name=name)
        self.trainable = trainable

        # === Config ===
        self.features = features
        self.graphs = graphs
        self.num_classes = num_classes
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.seed = seed
        self.policy = dtype

    def get_config(self):
        return {
            "features": serialize_features(self.features),
            "graphs": keras.saving.serialize_keras_object(self.graphs),
            "num_classes": self.num_classes,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout,
            "seed": self.seed,
            "dtype": keras.dtype_policies.serialize(self.policy),
            "name": self.name,
            "trainable": self.trainable,
        }
