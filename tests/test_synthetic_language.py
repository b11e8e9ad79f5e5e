"""Graphs learned on a synthetic language find what belongs together.

Labelled brackets, `( red [ blue ] blue ) red`: the label after a closing
bracket is that after the opening one, wherever it stands.
"""

import keras
import numpy as np
import pytest

import glomo_keras as gk

SEED = 0
BRACKETS = ["()", "[]", "{}", "<>", "«»", "‹›"]
LABELS = ["red", "orange", "yellow", "green", "blue", "violet"]
VOCABULARY = [*"".join(BRACKETS), *LABELS, "la", "li", "lo", "lu"]


def make_text(rng, num_pairs=5, num_words=8):
    """Tokens, and for each closing bracket the position of its first label."""
    kinds = list(rng.permutation(BRACKETS)[:num_pairs])
    text, sources, open_brackets = [], {}, []
    steps = [True] * num_words + [False] * 2 * num_pairs
    for is_word in rng.permutation(steps):
        if is_word:
            text.append(rng.choice(VOCABULARY[-4:]))
        elif kinds and (not open_brackets or rng.random() < 0.9):
            opening, closing = kinds.pop()
            text += [opening, rng.choice(LABELS)]
            open_brackets.append((closing, len(text) - 1))
        else:
            closing, source = open_brackets.pop()
            sources[len(text)] = source
            text += [closing, text[source]]
    return text, sources


def make_texts(count, seed):
    """Ids `(count, T)`, and at closing brackets the first label, else -1."""
    rng = np.random.default_rng(seed)
    texts, found = zip(*(make_text(rng) for _ in range(count)), strict=True)
    ids = [[VOCABULARY.index(token) for token in text] for text in texts]
    sources = np.full((count, len(ids[0])), -1)
    for row, partners in zip(sources, found, strict=True):
        row[list(partners)] = list(partners.values())
    return np.array(ids, "int32"), sources


def make_task(count, seed):
    """Texts that end in a closing bracket, and whether its label is warm."""
    rng = np.random.default_rng(seed)
    texts, sources = make_texts(count, seed)
    warm = np.zeros(count, "int32")
    for i in range(count):
        end = rng.choice(np.flatnonzero(sources[i] >= 0))
        warm[i] = VOCABULARY[texts[i, end + 1]] in LABELS[:3]
        start = rng.integers(-4, 0, texts.shape[1] - 1 - end) % len(VOCABULARY)
        texts[i] = [*start, *texts[i, : end + 1]]  # words fill the beginning
    return texts, warm


def inputs(ids):
    return {"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)}


@pytest.fixture(scope="module")
def predictor():
    """A graph predictor that has learned the language without its task."""
    keras.utils.set_random_seed(SEED)
    graph_predictor = gk.GraphPredictor(
        len(VOCABULARY),
        embedding_dim=32,
        num_heads=4,
        key_dim=8,
        num_conv_layers=1,
        num_graph_layers=1,
        embeddings_initializer=keras.initializers.RandomUniform(-0.5, 0.5),
    )
    pretrainer = gk.ContextPretrainer(
        graph_predictor, context_length=1, num_decoder_layers=1
    )
    pretrainer.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    ids, _ = make_texts(1200, seed=1)
    pretrainer.fit(inputs(ids), batch_size=64, epochs=12, verbose=0)
    return graph_predictor


def found_partners(graphs, sources):
    """How often the strongest edge of each head leads to the partner."""
    text, receiver = np.nonzero(sources >= 0)
    strongest = np.argmax(graphs[:, 0], axis=-1)  # (B, K, T)
    partner = sources[text, receiver][:, None]
    return np.mean(strongest[text, :, receiver] == partner, axis=0)  # (K,)


@pytest.mark.slow
def test_a_head_finds_the_partner_at_any_distance(predictor):
    rates = []
    for seed in (2, 3):
        ids, sources = make_texts(200, seed)
        graphs = predictor.predict(inputs(ids), verbose=0)["forward_graphs"]
        rates.append(found_partners(graphs, sources))
    best = np.argmax(rates[0])
    assert rates[1][best] > 0.9
    text, receiver = np.nonzero(sources >= 0)
    distances = receiver - sources[text, receiver]
    assert np.bincount(distances).max() < 0.25 * len(distances)


def task_accuracy(make_graphs):
    """Is the label to come warm? In texts that were not trained on."""
    parts = []
    for count, seed in ((800, 4), (400, 5)):
        ids, warm = make_task(count, seed)
        parts.append(({"token_ids": ids, **make_graphs(ids)}, warm))
    keras.utils.set_random_seed(SEED)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    graphs = {
        name: keras.Input((*value.shape[1:3], None, None), name=name)
        for name, value in parts[0][0].items()
        if name != "token_ids"
    }
    features = keras.layers.Embedding(len(VOCABULARY), 16)(ids)
    fused = gk.layers.GraphTransfer()(features, graphs)
    logits = keras.layers.Dense(1)(fused[:, -1])
    model = keras.Model({"token_ids": ids, **graphs}, logits)
    model.compile(
        keras.optimizers.Adam(2e-2),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    (train, test) = parts
    model.fit(*train, epochs=15, batch_size=64, verbose=0)
    return model.evaluate(*test, verbose=0)[1]


@pytest.mark.slow
def test_learned_graphs_beat_uniform_ones_in_a_task(predictor):
    def learned(ids):
        return predictor.predict(inputs(ids), verbose=0)

    def uniform(ids):
        graphs = gk.layers.UniformGraph()(np.ones(ids.shape, bool))
        return {
            name: keras.ops.convert_to_numpy(x) for name, x in graphs.items()
        }

    assert task_accuracy(learned) > 0.95
    assert task_accuracy(uniform) < 0.75
