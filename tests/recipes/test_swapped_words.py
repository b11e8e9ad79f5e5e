import numpy as np
import pytest

from glomo_keras import data
from recipes import swapped_words

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
