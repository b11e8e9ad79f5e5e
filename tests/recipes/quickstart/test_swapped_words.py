"""The task of swapped neighbours."""

import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras import data
from recipes.quickstart import __main__ as quickstart
from recipes.quickstart import swapped_words

VOCABULARY = ["<pad>", "<unk>", "N", ",", "the", "cat", "sees", "a", "dog", "."]
IS_WORD = np.array([token.isalpha() and token != "N" for token in VOCABULARY])
SENTENCES = [
    f"The {a} sees {b}, the {c} sees the {d}, a cat."
    for a in ("cat", "dog")
    for b in ("a cat", "a dog", "the cat", "the dog")
    for c in ("cat", "dog")
    for d in ("cat", "dog", "fish", "12")
]


def ids(text):
    return np.array([VOCABULARY.index(token) for token in text.split()])


def test_swap_exchanges_two_different_neighbouring_words():
    row = ids("the cat , <unk> sees sees N the")
    places = set()
    for seed in range(20):
        generator = np.random.default_rng(seed)
        swapped = swapped_words.swap_neighbours(row, IS_WORD, generator)
        places.add(tuple(np.flatnonzero(swapped != row)))
        assert sorted(swapped) == sorted(row)
    assert places == {(0, 1)}


def test_swap_reaches_every_place():
    row = ids("the cat sees a dog")
    generator = np.random.default_rng(0)
    places = {
        tuple(
            np.flatnonzero(
                swapped_words.swap_neighbours(row, IS_WORD, generator) != row
            )
        )
        for _ in range(100)
    }
    assert places == {(0, 1), (1, 2), (2, 3), (3, 4)}


@pytest.mark.parametrize("text", ["the , cat", "cat cat cat", "cat", "N <unk>"])
def test_swap_without_a_place_gives_none(text):
    generator = np.random.default_rng(0)
    row = ids(text)
    assert swapped_words.swap_neighbours(row, IS_WORD, generator) is None


def test_task_is_balanced_and_split_by_sentence():
    tokenizer = data.WordTokenizer(VOCABULARY, numbers="N")
    task = swapped_words.make_task(SENTENCES, tokenizer, limit=60)
    again = swapped_words.make_task(SENTENCES, tokenizer, limit=60)
    assert [len(task[name][1]) for name in task] == [72, 12, 36]
    for name, (inputs, labels) in task.items():
        assert labels.ravel().tolist() == [0, 1] * (len(labels) // 2)
        real = inputs["padding_mask"]
        assert real.shape == (len(labels), swapped_words.MAX_TOKENS)
        assert (inputs["token_ids"][~real] == 0).all()
        plain, swapped = inputs["token_ids"][::2], inputs["token_ids"][1::2]
        assert ((plain != swapped).sum(1) == 2).all()
        np.testing.assert_array_equal(
            inputs["token_ids"], again[name][0]["token_ids"]
        )


def test_too_few_sentences_are_an_error():
    tokenizer = data.WordTokenizer(VOCABULARY)
    with pytest.raises(ValueError, match="needs 50 sentences.*Received: 4"):
        swapped_words.make_task(SENTENCES[:4], tokenizer, limit=100)


def test_sentences_are_split_at_their_ends():
    text = "One, e.g. this. Is it two? No. 3.5 is (no) end! Été."
    assert swapped_words.split_sentences(text) == [
        "One, e.g. this.",
        "Is it two?",
        "No. 3.5 is (no) end!",
        "Été.",
    ]


@pytest.fixture(scope="module")
def predictor():
    made = gk.GraphPredictor(
        vocabulary_size=len(VOCABULARY),
        embedding_dim=8,
        num_heads=2,
        key_dim=4,
        num_conv_layers=1,
        num_graph_layers=2,
    )
    made.trainable = False
    return made


@pytest.mark.parametrize("mode", swapped_words.MODES)
def test_padding_does_not_reach_the_classifier(mode, predictor):
    model = swapped_words.build_classifier(
        quickstart.Options(units=4), mode, predictor
    )
    ids = np.array([[4, 5, 6, 7, 8]])
    real = np.ones((1, 5), bool)
    short = model({"token_ids": ids, "padding_mask": real})
    padding = [(0, 0), (0, 4)]
    longer = {
        "token_ids": np.pad(ids, padding, constant_values=3),
        "padding_mask": np.pad(real, padding),
    }
    np.testing.assert_allclose(model(longer), short, atol=1e-6)


@pytest.mark.slow
def test_training_leaves_the_predictor_as_it_was(predictor):
    tokenizer = data.WordTokenizer(VOCABULARY, numbers="N")
    task = swapped_words.make_task(SENTENCES, tokenizer, limit=60)
    before = predictor.get_weights()
    run = swapped_words.train_classifier(
        quickstart.Options(units=4, task_epochs=1), "glomo", 0, predictor, task
    )
    for old, new in zip(before, predictor.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert 0 <= run["accuracy"] <= 1
    assert predictor.trainable_weights == []
