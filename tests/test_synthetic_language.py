"""Graphs learned on a synthetic language find what belongs together.

The labelled brackets of examples/glomo_in_one_file.py: the label after a
closing bracket is that after the opening one, wherever it stands.
"""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from examples.glomo_in_one_file import VOCABULARY
from examples.glomo_in_one_file import make_task
from examples.glomo_in_one_file import make_texts

SEED = 0


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
    pretrainer.fit(inputs(ids), batch_size=64, epochs=8, verbose=0)
    return graph_predictor


def found_partners(graphs, sources):
    """How often the strongest edge of each head leads to the partner."""
    text, receiver = np.nonzero(sources >= 0)
    strongest = np.argmax(graphs[:, 0], axis=-1)  # (B, K, T)
    partner = sources[text, receiver][:, None]
    return np.mean(strongest[text, :, receiver] == partner, axis=0)  # (K,)


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
