import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.training import transfer_perplexity

VOCABULARY, LENGTH, STEPS = 12, 10, 30


def texts(count, seed):
    """Every word is the one two positions before it, after two at random."""
    ids = np.random.default_rng(seed).integers(2, VOCABULARY, (count, 2))
    ids = np.tile(ids, LENGTH // 2).astype("int32")
    return {"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)}


def measured(graphs, seed=0):
    return transfer_perplexity(
        graphs,
        texts(32 * STEPS, seed=1),
        texts(32, seed=2),
        VOCABULARY,
        steps=STEPS,
        learning_rate=0.02,
        seed=seed,
        embedding_dim=16,
        context_length=1,
        num_decoder_layers=1,
        directions=("forward",),
    )


@pytest.mark.slow
def test_graphs_that_lead_to_the_answer_beat_none():
    # A steep decay leads to the position before: there the next word stands.
    nearest = measured(gk.layers.DistanceDecayGraph(rate=20.0))
    none = measured(None)
    assert set(nearest) == {"loss", "forward_perplexity"}
    assert nearest["forward_perplexity"] < 0.7 * none["forward_perplexity"]


@pytest.mark.slow
def test_same_seed_gives_the_same_number():
    one, two = (measured(gk.layers.DistanceDecayGraph()) for _ in range(2))
    assert one == two
