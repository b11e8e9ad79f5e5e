import types

import keras
from keras import ops

from glomo_keras.layers import BiAttention
from glomo_keras.layers import MeanMaxPooling
from glomo_keras.layers import SoftAlignment
from glomo_keras.models._pair_rnn import _PairRNN
from glomo_keras.models.text_model import TextModel
from glomo_keras.utils import validation as check

TEXTS = ("premise", "hypothesis")


@keras.saving.register_keras_serializable(package="glomo_keras")
class PairClassifier(TextModel):
    """Classifies the relation of two texts: ESIM with self-attention.

    Per text, with all weights shared by the two:

    1. features, with graphs on them if asked, and a bidirectional LSTM;
    2. bi-inference: `SoftAlignment` with the other text, then
       `z = relu(W [a, a~, a * a~, a - a~])`;
    3. self-attention: `z + relu(V BiAttention(z, z))`;
    4. composition: a second bidirectional LSTM, mean and maximum over time.

    The pooled texts side by side go through a tanh layer to the logits.
    ESIM is this without step 3, which the paper names and no code shows: it
    is taken from the paper's SQuAD model, a residual `BiAttention` of the
    text with itself. With `features` 300 wide and `hidden_dim=300` ESIM has
    4,326,303 parameters, the self-attention adds 361,200.

    `use_rnn=False` gives decomposable attention (Parikh et al. 2016) with
    ESIM's bi-inference and pooling: a ReLU layer replaces the first LSTM, and
    the second is left out. Only the graphs then carry the order of words.

    Args:
        features, graphs, transfer, placement: See `TextClassifier`.
        num_classes: Integer. Defaults to `3`.
        hidden_dim: Integer, units of the LSTMs in each direction and of the
            linear layers. Defaults to `300`.
        self_attention: Boolean; False gives plain ESIM. Defaults to `True`.
        use_rnn: Boolean; False leaves out both LSTMs. Defaults to `True`.
        dropout: Float, on the features, z, the pooled texts and the hidden
            layer, as ESIM has it. Defaults to `0.5`.
        seed, dtype, name, trainable: See `TextClassifier`.

    Call arguments:
        inputs: Dict, of each text: `premise_padding_mask` boolean `(B, T)`,
            True = real position; `premise_word_ids` and the other names in
            `features`; those of the source, as `premise_token_ids`, int32
            `(B, T)`. Likewise `hypothesis_...`, of its own length.
        training: Boolean.

    Returns:
        Dict of `logits`, float32 `(B, num_classes)`.

    Raises:
        ValueError: If an argument is out of its range, or graphs are to act
            on the states of an RNN that is left out.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> model = gk.models.PairClassifier(
    ...     {"word_ids": keras.layers.Embedding(50, 8)}, hidden_dim=4)
    >>> pair = {"premise_word_ids": np.array([[5, 6, 7]]),
    ...         "premise_padding_mask": np.array([[True, True, True]]),
    ...         "hypothesis_word_ids": np.array([[5, 8]]),
    ...         "hypothesis_padding_mask": np.array([[True, True]])}
    >>> tuple(model(pair)["logits"].shape)
    (1, 3)

    Reference:
        Chen et al. 2017, "Enhanced LSTM for Natural Language Inference";
        Parikh et al. 2016, "A Decomposable Attention Model for Natural
        Language Inference"; Yang et al. 2018, Sec. 3.1.
    """

    texts = TEXTS

    def __init__(
        self,
        features,
        graphs=None,
        transfer=None,
        placement="embeddings",
        num_classes=3,
        hidden_dim=300,
        self_attention=True,
        use_rnn=True,
        dropout=0.5,
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
        if use_rnn:
            self.encoder = _shared_lstm(hidden_dim, dtype, "encoder")
        else:
            self.encoder = _dense(hidden_dim, "relu", dtype, "encoder")
        self.alignment = SoftAlignment(dtype=dtype, name="alignment")
        self.projection = _dense(hidden_dim, "relu", dtype, "projection")
        self.attention = self.attention_dense = None
        if self_attention:
            self.attention = BiAttention(dtype=dtype, name="self_attention")
            self.attention_dense = _dense(
                hidden_dim, "relu", dtype, "self_attention_dense"
            )
        self.composition = None
        if use_rnn:
            self.composition = _shared_lstm(hidden_dim, dtype, "composition")
        self.pooling = MeanMaxPooling(dtype=dtype, name="pooling")
        self.hidden = _dense(hidden_dim, "tanh", dtype, "hidden")
        self.classifier = _dense(num_classes, None, "float32", "classifier")
        self.dropouts = {
            place: keras.layers.Dropout(
                dropout,
                seed=None if seed is None else seed + index,
                dtype=dtype,
                name=f"{place}_dropout",
            )
            for index, place in enumerate(
                ("features", "projection", "pooled", "hidden")
            )
        }

        # === Functional Model ===
        self.use_rnn = use_rnn
        inputs = self.make_inputs()
        masks = [inputs[f"{text}_padding_mask"] for text in TEXTS]
        encoded = self._encode(inputs, masks)
        aligned = self.alignment(
            *encoded, premise_mask=masks[0], hypothesis_mask=masks[1]
        )
        self._aligned = types.SimpleNamespace(states=encoded, masks=masks)
        composed = list(map(self._compare, encoded, aligned, masks))
        if use_rnn:
            composed = self.composition(*composed, *masks)
        pooled = [
            self.pooling(x, padding_mask=mask)
            for x, mask in zip(composed, masks, strict=True)
        ]
        pooled = ops.concatenate(pooled, axis=-1)  # (B, 8 units)
        hidden = self.hidden(self.dropouts["pooled"](pooled))
        logits = self.classifier(self.dropouts["hidden"](hidden))
        self.set_network(inputs, {"logits": logits}, trainable)

        # === Config ===
        self.num_classes = num_classes
        self.hidden_dim = hidden_dim
        self.self_attention = self_attention
        self.dropout = dropout
        self.seed = seed

    def alignment_weights(self):
        """Returns which words of the other text each word is aligned with.

        Returns:
            A `keras.Model` from this model's inputs to a dict of `premise`,
            float32 `(B, T, S)`: what each position of the premise takes from
            the hypothesis, and `hypothesis` `(B, S, T)`, the reverse. Rows
            of padding mean nothing.

        Example:

        ```python
        weights = model.alignment_weights().predict(pair)["premise"][0]
        gk.analysis.plot_graph(
            weights, hypothesis_tokens, row_tokens=premise_tokens)
        ```
        """
        weights = self.alignment.weights_of(
            *self._aligned.states, *self._aligned.masks
        )
        return keras.Model(
            self.input,
            dict(zip(TEXTS, weights, strict=True)),
            name=f"{self.name}_alignment",
        )

    def _encode(self, inputs, masks):
        """Encodes both texts.

        Returns the states of the first LSTM, `(B, T, 2 hidden_dim)` each, or
        `(B, T, hidden_dim)` without an RNN.
        """
        embedded = [
            self.dropouts["features"](self.embed(inputs, text))
            for text in TEXTS
        ]
        if not self.use_rnn:
            return [self.encoder(x) for x in embedded]
        states = self.encoder(*embedded, *masks)
        return [
            self.with_graphs(x, text, "states")
            for x, text in zip(states, TEXTS, strict=True)
        ]

    def _compare(self, states, aligned, mask):
        """Compares one text with the other, `(B, T, hidden_dim)`."""
        compared = [states, aligned, states * aligned, states - aligned]
        z = self.projection(ops.concatenate(compared, axis=-1))
        z = self.dropouts["projection"](z)
        if self.attention is not None:
            attended = self.attention(
                z, z, features_mask=mask, memory_mask=mask
            )  # (B, T, 4 hidden_dim)
            z = z + self.attention_dense(attended)
        return z

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden_dim": self.hidden_dim,
            "self_attention": self.self_attention,
            "use_rnn": self.use_rnn,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _shared_lstm(units, dtype, name):
    lstm = keras.layers.LSTM(
        units, return_sequences=True, dtype=dtype, name="lstm"
    )
    both_ways = keras.layers.Bidirectional(lstm, dtype=dtype, name="both_ways")
    # Bidirectional copies the LSTM by its config. While a file is read, Keras
    # takes objects with the same `id` for one object, so an LSTM that is freed
    # could hand its `id` and with it its copy to the next one. A namespace
    # keeps it and hides it from Keras.
    both_ways.copied = types.SimpleNamespace(layer=lstm)
    return _PairRNN(both_ways, dtype=dtype, name=name)


def _dense(units, activation, dtype, name):
    return keras.layers.Dense(
        units, activation=activation, dtype=dtype, name=name
    )
