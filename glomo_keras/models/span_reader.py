import itertools

import keras
from keras import ops

from glomo_keras.layers import AttentionPooling
from glomo_keras.layers import BiAttention
from glomo_keras.layers import BidirectionalGRU
from glomo_keras.layers import CharacterCNN
from glomo_keras.layers import SpanPointer
from glomo_keras.models._layers_first_model import LayersFirstModel
from glomo_keras.models.task_graphs import TaskGraphs
from glomo_keras.models.text_inputs import deserialize_features
from glomo_keras.models.text_inputs import embed_text
from glomo_keras.models.text_inputs import serialize_features
from glomo_keras.models.text_inputs import text_inputs
from glomo_keras.utils import validation as check

TEXTS = ("context", "question")


@keras.saving.register_keras_serializable(package="glomo_keras")
class SpanReader(LayersFirstModel):
    """Answers of questions as spans of a context: the paper's SQuAD model.

    With all weights up to the states shared by context c and question q:

        E = [features, with graphs; CharacterCNN(letters)]
        S = BiGRU(E), with graphs instead
        X = relu(W_1 BiAttention(S_c, S_q))
        Y = BiGRU(X);  X = X + relu(W_2 BiAttention(Y, Y))
        start, end = SpanPointer(BiGRU(X), AttentionPooling(S_q))

    The graphs stand where `TaskGraphs` puts them; each text has its own from
    the same predictor. On the states, only what the graphs brought of S_q is
    pooled, as in the released code.

    Departures from the released code, all of which concern padding: its
    question RNN reads on into the padding, rows of padding take part in the
    second softmax of BiAttention, and the pointer's dropout acts in
    evaluation, too.

    Args:
        features: dict of input name to the layer that embeds this input:
            `{"word_ids": Embedding}`, `{"char_ids": Elmo}`, or several, whose
            outputs are put side by side.
        graphs: `TaskGraphs`, or None for the baseline without.
        num_letters: integer, number of different letters; None for a model
            without a character CNN.
        letter_dim: integer, width of the letters' embeddings.
        letter_filters: integer, width of the character CNN's output.
        hidden_dim: integer, units of the GRUs in each direction and of the
            linear layers.
        exclude_diagonal: boolean; True keeps a unit from attending to itself
            in the self-attention.
        dropout: float, before each RNN and attention and in the pointer,
            whole channels of a text.
        feature_dropout: float, before the first RNN; `dropout` if None.
        seed: integer seed of the dropout, or None.
        dtype: dtype policy.
        name: string.
        trainable: boolean.

    Call arguments:
        inputs: dict, of each text: `context_padding_mask` boolean `(B, T)`,
            True = real unit; `context_word_ids` and the other names in
            `features`; `context_letter_ids` int32 `(B, T, 16)` with
            num_letters; where the graphs need them `context_token_ids`, int32
            `(B, T)`. Likewise `question_...`, of its own length.
        training: boolean.

    Returns:
        Dict of `start_logits` and `end_logits`, float32 `(B, T)` over the
        units of the context, -1e30 on padding. `glomo_keras.data.decode_spans`
        makes spans of them.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> reader = gk.models.SpanReader(
    ...     {"word_ids": keras.layers.Embedding(50, 8)}, hidden_dim=4)
    >>> inputs = {"context_word_ids": np.array([[5, 6, 7]]),
    ...           "context_padding_mask": np.array([[True, True, True]]),
    ...           "question_word_ids": np.array([[5, 8]]),
    ...           "question_padding_mask": np.array([[True, True]])}
    >>> tuple(reader(inputs)["start_logits"].shape)
    (1, 3)

    Reference:
        Clark & Gardner 2018, "Simple and Effective Multi-Paragraph Reading
        Comprehension"; Yang et al. 2018, Sec. 3.1; sizes and pointer of the
        released code.
    """

    def __init__(
        self,
        features,
        graphs=None,
        num_letters=None,
        letter_dim=8,
        letter_filters=100,
        hidden_dim=76,
        exclude_diagonal=False,
        dropout=0.2,
        feature_dropout=None,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(hidden_dim=hidden_dim)
        if feature_dropout is None:
            feature_dropout = dropout
        check.check_rate(dropout=dropout, feature_dropout=feature_dropout)
        if isinstance(graphs, dict):
            graphs = keras.saving.deserialize_keras_object(graphs)
        graphs = TaskGraphs() if graphs is None else graphs
        dtype = keras.dtype_policies.get(dtype)
        # A layer with several dropouts counts on from its seed.
        seeds = (
            itertools.repeat(None)
            if seed is None
            else (itertools.count(seed, 10))
        )

        # === Layers ===
        def drop(place, rate=dropout):
            return keras.layers.Dropout(
                rate,
                noise_shape=(None, 1, None),
                seed=next(seeds),
                dtype=dtype,
                name=f"{place}_dropout",
            )

        def rnn(place):
            return BidirectionalGRU(
                hidden_dim, dtype=dtype, name=f"{place}_rnn"
            )

        def attention(place, **kwargs):
            return BiAttention(
                dropout=dropout,
                seed=next(seeds),
                dtype=dtype,
                name=f"{place}_attention",
                **kwargs,
            )

        def dense(place):
            return keras.layers.Dense(
                hidden_dim,
                activation="relu",
                dtype=dtype,
                name=f"{place}_dense",
            )

        self.features = deserialize_features(features)
        self.graphs = graphs
        self.character_cnn = num_letters and CharacterCNN(
            num_letters,
            letter_dim,
            letter_filters,
            dtype=dtype,
            name="character_cnn",
        )
        self.encoder_dropout = drop("encoder", feature_dropout)
        self.encoder_rnn = rnn("encoder")
        self.question_attention = attention("question")
        self.question_dense = dense("question")
        self.self_dropout = drop("self")
        self.self_rnn = rnn("self")
        self.self_attention = attention(
            "self", exclude_diagonal=exclude_diagonal
        )
        self.self_dense = dense("self")
        self.residual = keras.layers.Add(dtype=dtype, name="residual")
        self.output_dropout = drop("output")
        self.output_rnn = rnn("output")
        self.question_pooling = AttentionPooling(
            hidden_dim,
            dropout=dropout,
            seed=next(seeds),
            dtype=dtype,
            name="question_pooling",
        )
        self.pointer = SpanPointer(
            hidden_dim,
            dropout=dropout,
            seed=next(seeds),
            dtype=dtype,
            name="pointer",
        )

        # === Functional Model ===
        inputs = self._inputs()
        context_mask = inputs["context_padding_mask"]
        question_mask = inputs["question_padding_mask"]
        context, question = (self._encode(inputs, text) for text in TEXTS)
        attended = self.question_attention(
            context,
            question,
            features_mask=context_mask,
            memory_mask=question_mask,
        )
        read = self.question_dense(attended)  # (B, T, hidden_dim)
        states = self.self_rnn(self.self_dropout(read), mask=context_mask)
        attended = self.self_attention(
            states,
            states,
            features_mask=context_mask,
            memory_mask=context_mask,
        )
        read = self.residual([read, self.self_dense(attended)])
        states = self.output_rnn(self.output_dropout(read), mask=context_mask)
        summary = self.question_pooling(
            question[..., -2 * hidden_dim :], mask=question_mask
        )
        logits = self.pointer(states, summary, features_mask=context_mask)
        super().__init__(inputs=inputs, outputs=logits, name=name)
        self.trainable = trainable

        # === Config ===
        self.num_letters = num_letters
        self.letter_dim = letter_dim
        self.letter_filters = letter_filters
        self.hidden_dim = hidden_dim
        self.exclude_diagonal = exclude_diagonal
        self.dropout = dropout
        self.feature_dropout = feature_dropout
        self.seed = seed
        self.policy = dtype

    def _inputs(self):
        names = [*self.features, *self.graphs.input_names]
        if self.character_cnn is not None:
            names.append("letter_ids")
        inputs = {}
        for text in TEXTS:
            inputs |= text_inputs(names, text)
            inputs |= self.graphs.own_inputs(text)
        return inputs

    def _encode(self, inputs, text):
        """The states of a text's units, `(B, T, 2 or 4 hidden_dim)`."""
        mask = inputs[f"{text}_padding_mask"]
        graphs = self.graphs.graphs_of(inputs, text)
        embedded = embed_text(self.features, inputs, text)
        embedded = self.graphs.on_embeddings(embedded, graphs, mask)
        if self.character_cnn is not None:
            letters = self.character_cnn(inputs[f"{text}_letter_ids"])
            embedded = ops.concatenate([embedded, letters], axis=-1)
        states = self.encoder_rnn(self.encoder_dropout(embedded), mask=mask)
        return self.graphs.on_states(states, graphs, mask)

    def get_config(self):
        names = (
            "num_letters",
            "letter_dim",
            "letter_filters",
            "hidden_dim",
            "exclude_diagonal",
            "dropout",
            "feature_dropout",
            "seed",
            "name",
            "trainable",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "features": serialize_features(self.features),
            "graphs": keras.saving.serialize_keras_object(self.graphs),
            "dtype": keras.dtype_policies.serialize(self.policy),
        }
