import itertools

import keras
from keras import ops

from glomo_keras.layers import AttentionPooling
from glomo_keras.layers import BiAttention
from glomo_keras.layers import BidirectionalGRU
from glomo_keras.layers import CharacterCNN
from glomo_keras.layers import SpanPointer
from glomo_keras.models.text_model import TextModel
from glomo_keras.utils import validation as check

TEXTS = ("context", "question")


@keras.saving.register_keras_serializable(package="glomo_keras")
class SpanReader(TextModel):
    """Answers questions with spans of a context: the paper's SQuAD model.

    With all weights up to the states shared by context c and question q:

        E = [features, with graphs; CharacterCNN(letters)]
        S = BiGRU(E), or with graphs here
        X = relu(W_1 BiAttention(S_c, S_q))
        Y = BiGRU(X);  X = X + relu(W_2 BiAttention(Y, Y))
        start, end = SpanPointer(BiGRU(X), AttentionPooling(S_q))

    `placement` says which of E and S has graphs; each text has its own from
    the same source. On the states, only the gated part of S_q is pooled, as
    in the released code.

    Where the released code differs: its question RNN reads on into the
    padding, rows of padding take part in the second softmax of BiAttention,
    and the pointer's dropout acts in evaluation, too.

    Args:
        features, graphs, transfer, placement: See `TextClassifier`.
        num_letters: Integer, number of different letters. Defaults to
            `None`, a model without a character CNN.
        letter_dim: Integer, width of the letters' embeddings. Defaults to
            `8`.
        letter_filters: Integer, width of the character CNN's output. Defaults
            to `100`.
        hidden_dim: Integer, units of the GRUs in each direction and of the
            linear layers. Defaults to `76`.
        exclude_diagonal: Boolean; True keeps a word from attending to itself
            in the self-attention. Defaults to `False`.
        dropout: Float, before each RNN and attention and in the pointer,
            whole channels of a text. Defaults to `0.2`.
        feature_dropout: Float, before the first RNN. Defaults to `dropout`.
        seed, dtype, name, trainable: See `TextClassifier`.

    Call arguments:
        inputs: Dict, of each text: `context_padding_mask` boolean `(B, T)`,
            True = real position; `context_word_ids` and the other names in
            `features`; `context_letter_ids` int32 `(B, T, 16)` with
            num_letters; those of the source, as `context_token_ids`, int32
            `(B, T)`. Likewise `question_...`, of its own length.
        training: Boolean.

    Returns:
        Dict of `start_logits` and `end_logits`, float32 `(B, T)` over the
        words of the context, -1e30 on padding; `glomo_keras.data.decode_spans`
        turns them into spans.

    Raises:
        ValueError: If an argument is out of its range.

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

    texts = TEXTS

    def __init__(
        self,
        features,
        graphs=None,
        transfer=None,
        placement="embeddings",
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
        check.check_positive_or_none(num_letters=num_letters)
        if feature_dropout is None:
            feature_dropout = dropout
        check.check_rate(dropout=dropout, feature_dropout=feature_dropout)
        super().__init__(features, graphs, transfer, placement, dtype, name)
        dtype = self.dtype_policy
        # Steps of 10: a layer with several dropouts uses the seeds that follow.
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
        letters = () if num_letters is None else ("letter_ids",)
        inputs = self.make_inputs(*letters)
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
        if question.shape[-1] > 2 * hidden_dim:
            question = question[..., 2 * hidden_dim :]  # the gated part
        summary = self.question_pooling(question, mask=question_mask)
        logits = self.pointer(states, summary, features_mask=context_mask)
        self.set_network(inputs, logits, trainable)

        # === Config ===
        self.num_letters = num_letters
        self.letter_dim = letter_dim
        self.letter_filters = letter_filters
        self.hidden_dim = hidden_dim
        self.exclude_diagonal = exclude_diagonal
        self.dropout = dropout
        self.feature_dropout = feature_dropout
        self.seed = seed

    def _encode(self, inputs, text):
        """Returns the states of a text, `(B, T, 2 hidden_dim or more)`."""
        embedded = self.embed(inputs, text)
        if self.character_cnn is not None:
            letters = self.character_cnn(inputs[f"{text}_letter_ids"])
            embedded = ops.concatenate([embedded, letters], axis=-1)
        states = self.encoder_rnn(
            self.encoder_dropout(embedded), mask=inputs[f"{text}_padding_mask"]
        )
        return self.with_graphs(states, text, "states")

    def get_config(self):
        return {
            **super().get_config(),
            "num_letters": self.num_letters,
            "letter_dim": self.letter_dim,
            "letter_filters": self.letter_filters,
            "hidden_dim": self.hidden_dim,
            "exclude_diagonal": self.exclude_diagonal,
            "dropout": self.dropout,
            "feature_dropout": self.feature_dropout,
            "seed": self.seed,
        }
