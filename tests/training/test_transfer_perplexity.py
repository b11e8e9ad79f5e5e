import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.training import transfer_perplexities
from glomo_keras.training import transfer_perplexity

VOCABULARY, LENGTH, STEPS = 12, 10, 30


def texts(count, seed):
    """Every word is the one two positions before it, after two at random."""
    ids = np.random.default_rng(seed).integers(2, VOCABULARY, (count, 2))
    ids = np.tile(ids, LENGTH // 2).astype("int32")
    return {"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)}


OPTIONS = {
    "held_out": texts(32, seed=2),
    "vocabulary_size": VOCABULARY,
    "learning_rate": 0.02,
    "embedding_dim": 16,
    "context_length": 1,
    "num_decoder_layers": 1,
    "directions": ("forward",),
}


def decay(rate=None):
    return gk.layers.DistanceDecayGraph(
        rate=rate, directions=OPTIONS["directions"]
    )


def measured(graphs, seed=0, steps=STEPS):
    train = texts(32 * steps, seed=1)
    return transfer_perplexity(graphs, train, seed=seed, steps=steps, **OPTIONS)


@pytest.mark.slow
def test_graphs_that_lead_to_the_answer_beat_none():
    # A steep decay leads to the position before: there the next word stands.
    nearest = measured(decay(rate=20.0))
    none = measured(None)
    assert set(nearest) == {"loss", "forward_perplexity"}
    assert nearest["forward_perplexity"] < 0.7 * none["forward_perplexity"]


@pytest.mark.slow
def test_same_seed_gives_the_same_number():
    one, two = (measured(decay()) for _ in range(2))
    assert one == two


def test_each_seed_starts_from_the_vectors_that_were_given():
    def vectors():
        keras.utils.set_random_seed(0)
        layer = keras.layers.Embedding(VOCABULARY, 8)
        layer.build()
        return layer

    def measure(seeds, layer):
        found = transfer_perplexities(
            None,
            lambda seed: texts(32 * 2, seed=1),
            seeds=seeds,
            steps=2,
            vectors=layer,
            **{**OPTIONS, "embedding_dim": 8},
        )
        return [each["loss"] for each in found]

    together = measure((3, 5), vectors())
    assert together == measure((3,), vectors()) + measure((5,), vectors())


def test_arrays_are_trained_on_for_all_steps():
    """However many windows there are, a step takes 32 of them."""
    few = texts(48, seed=1)
    rows = np.arange(32 * 6) % 48
    many = {name: values[rows] for name, values in few.items()}
    one, two = (
        transfer_perplexity(None, train, steps=6, **OPTIONS)
        for train in (few, many)
    )
    assert one == two


def test_arrays_are_trained_on_as_a_dataset_is():
    tf = pytest.importorskip("tensorflow")
    arrays = texts(32 * 6, seed=1)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(32)
    one, two = (
        transfer_perplexity(None, train, steps=6, **OPTIONS)
        for train in (arrays, dataset)
    )
    assert one == two


def test_loss_is_scaled_anew_for_each_seed():
    found = transfer_perplexities(
        None,
        lambda seed: texts(64, seed=1),
        seeds=(0, 1),
        steps=2,
        dtype="mixed_float16",
        **OPTIONS,
    )
    assert all(np.isfinite(metrics["loss"]) for metrics in found)


@pytest.mark.slow
def test_seeds_in_one_call_give_the_numbers_of_a_call_each():
    together = transfer_perplexities(
        decay(),
        lambda seed: texts(32 * 4, seed=1),
        seeds=(3, 5),
        steps=4,
        **OPTIONS,
    )
    apart = [measured(decay(), x, 4) for x in (3, 5)]
    assert [*together] == apart
    assert apart[0] != apart[1]
