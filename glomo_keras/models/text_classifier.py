import keras

from glomo_keras.layers import BiAttention
from glomo_keras.layers import BidirectionalGRU
from glomo_keras.layers import MeanMaxPooling
from glomo_keras.models.text_model import TextModel
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class TextClassifier(TextModel):
    """Classifies texts with an RNN, linear layers and self-attention.

        E = embed(inputs)   or transfer(embed(inputs), graphs)
        S = BiGRU(E)        or transfer(BiGRU(E), graphs)
        H = relu(W_1 [S; E])
        A = H + relu(W_2 BiAttention(H, H))
        logits = W_4 tanh(W_3 [mean(A); max(A)])

    Dropout follows the embeddings and precedes the two layers after the
    pooling. `placement` chooses which of E and S the graphs act on
    (`TextModel.with_graphs`). Without an RNN, `H = relu(W_1 E)`:
    only the graphs then carry the order of words.

    Args:
        features: Dict of input name to the layer that embeds this input:
            `{"word_ids": Embedding}`, `{"char_ids": Elmo}`, or several, whose
            outputs stand side by side.
        graphs: Source of graphs: `PredictedGraphs`, `UniformGraph` or
            `GivenGraphs`, see `TextModel`. Defaults to `None`, the baseline
            without.
        transfer: Layer `call(features, graphs)` that applies the graphs.
            Defaults to `None`, which is `GraphTransfer()`.
        placement: `"embeddings"` or `"states"` (of the first RNN), what the
            graphs are multiplied with. Defaults to `"embeddings"`.
        num_classes: Integer. Defaults to `2`.
        hidden_dim: Integer, units of the RNN in each direction and of the
            linear layers. Defaults to `150`.
        use_rnn: Boolean; False leaves out the RNN. Defaults to `True`.
        dropout: Float. Defaults to `0.3`.
        seed: Integer seed of the dropout. Defaults to `None`.
        dtype: Dtype policy.
        name: String.
        trainable: Boolean; False freezes the whole model. Defaults to `True`.

    Call arguments:
        inputs: Dict of `padding_mask`, boolean `(B, T)`, the inputs of
            `features`, and those of the source (`token_ids`, int32 `(B, T)`,
            of the predictor's vocabulary).
        training: Boolean.

    Returns:
        Dict of `logits`, float32 `(B, num_classes)`.

    Raises:
        ValueError: If an argument is out of its range, or graphs are to act
            on the states of an RNN that is left out.

    Example:

    >>> import keras, numpy as np, glomo_keras as gk
    >>> model = gk.models.TextClassifier(
    ...     {"word_ids": keras.layers.Embedding(100, 16)},
    ...     gk.layers.UniformGraph(), hidden_dim=8)
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
        transfer=None,
        placement="embeddings",
        num_classes=2,
        hidden_dim=150,
        use_rnn=True,
        dropout=0.3,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(num_classes=num_classes, hidden_dim=hidden_dim)
        check.check_rate(dropout=dropout)
        check.check_placement(placement, use_rnn)
        super().__init__(features, graphs, transfer, placement, dtype, name)
        dtype = self.dtype_policy

        # === Layers ===
        def dense(name, activation):
            return keras.layers.Dense(
                hidden_dim, activation=activation, dtype=dtype, name=name
            )

        def drop(name, offset):
            return keras.layers.Dropout(
                dropout,
                seed=None if seed is None else seed + offset,
                dtype=dtype,
                name=name,
            )

        self.embedding_dropout = drop("embedding_dropout", 0)
        self.rnn = self.shortcut = None
        if use_rnn:
            self.rnn = BidirectionalGRU(
                hidden_dim, learn_initial_states=False, dtype=dtype, name="rnn"
            )
            self.shortcut = keras.layers.Concatenate(
                dtype=dtype, name="shortcut"
            )
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
        inputs = self.make_inputs()
        mask = inputs["padding_mask"]
        hidden = embedded = self.embedding_dropout(self.embed(inputs))
        if use_rnn:
            states = self.rnn(embedded, mask=mask)
            states = self.with_graphs(states, "", "states")
            hidden = self.shortcut([states, embedded])
        hidden = self.states_dense(hidden)
        attended = self.self_attention(
            hidden, hidden, features_mask=mask, memory_mask=mask
        )
        hidden = self.residual([hidden, self.attention_dense(attended)])
        pooled = self.pooling(hidden, padding_mask=mask)
        pooled = self.pooled_dense(self.pooled_dropout(pooled))
        logits = self.logits_dense(self.logits_dropout(pooled))
        self.set_network(inputs, {"logits": logits}, trainable)

        # === Config ===
        self.num_classes = num_classes
        self.hidden_dim = hidden_dim
        self.use_rnn = use_rnn
        self.dropout = dropout
        self.seed = seed

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden_dim": self.hidden_dim,
            "use_rnn": self.use_rnn,
            "dropout": self.dropout,
            "seed": self.seed,
        }
