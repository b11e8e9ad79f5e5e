"""Graphs between words act in a BERT of KerasHub.

    python examples/graphs_in_keras_hub.py

The words of the graph predictor and the pieces of BERT's tokenizer meet in
the characters that they share: `find_offsets` finds the pieces in the text,
`subword_graphs` puts the graphs on them, and `GraphTransfer` lets the graphs
weigh BERT's features. The backbone is made from a config and untrained, so
that nothing is downloaded; `keras_hub.models.BertBackbone.from_preset` gives
one that is worth having. Needs keras-hub (`pip install glomo-keras[hub]`).
"""

import keras
import keras_hub
import numpy as np

import glomo_keras as gk

TEXTS = [
    "The movie was not good.",
    "A good movie!",
    "It was a wonderful story, not a long one.",
    "The story was long and the acting bad.",
]
LABELS = np.array([0, 1, 1, 0])
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"the movie was not good a it wonder ##ful story long one and".split(),
    *("act", "##ing", "bad", ".", ",", "!"),
]


def read(texts, predictor, tokenizer):
    """Returns BERT's inputs and the graphs on its pieces."""
    pieces = [["[CLS]", *tokenizer(text), "[SEP]"] for text in texts]
    length = max(map(len, pieces))
    ids = np.zeros((len(texts), length), "int32")
    offsets = np.zeros((len(texts), length, 2), "int32")
    for row, (text, of_text) in enumerate(zip(texts, pieces, strict=True)):
        ids[row, : len(of_text)] = [PIECES.index(piece) for piece in of_text]
        offsets[row, : len(of_text)] = gk.analysis.find_offsets(text, of_text)
    words = gk.data.WordTokenizer.from_preset("glomo_small_en")(texts)
    graphs = gk.analysis.subword_graphs(
        predictor(words), words["token_offsets"], offsets
    )
    return {
        "token_ids": ids,
        "padding_mask": ids != 0,
        "segment_ids": np.zeros_like(ids),
        **graphs,
    }


def build(predictor, width=32):
    """Returns a classifier of texts: BERT, graphs, pooling."""
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(PIECES),
        num_layers=2,
        num_heads=2,
        hidden_dim=width,
        intermediate_dim=2 * width,
        max_sequence_length=64,
    )
    shape = (predictor.num_graph_layers, predictor.num_heads, None, None)
    graphs = {
        name: keras.Input(shape, name=name)
        for name in ("forward_graphs", "backward_graphs")
    }
    features = backbone.output["sequence_output"]  # (B, S, d)
    features = gk.layers.GraphTransfer(units=width)(features, graphs)
    pooled = keras.layers.GlobalMaxPooling1D()(features)
    outputs = keras.layers.Dense(2, activation="softmax")(pooled)
    return keras.Model({**backbone.input, **graphs}, outputs)


def main(epochs=30):
    """Trains a classifier; returns it and its inputs."""
    keras.utils.set_random_seed(0)
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=PIECES, lowercase=True, dtype="string"
    )
    inputs = read(TEXTS, predictor, tokenizer)
    model = build(predictor)
    model.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy"
    )
    history = model.fit(inputs, LABELS, epochs=epochs, verbose=0)
    losses = history.history["loss"]
    print(f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last")
    return model, inputs


if __name__ == "__main__":
    main()
