import pytest
import tensorflow as tf

from glomo_keras.data import WordTokenizer
from glomo_keras.serving import core_tokenizer
from tests.serving.nasty_texts import LONG_WORD
from tests.serving.nasty_texts import TEXTS
from tests.serving.nasty_texts import random_texts


@pytest.fixture(scope="module")
def split():
    text = tf.TensorSpec((None,), tf.string)
    return tf.function(core_tokenizer.split, input_signature=[text])


def decoded(text):
    """The string in which offsets count."""
    if isinstance(text, str):
        return text
    return text.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "texts",
    [TEXTS, [""], ["", "a", ""], random_texts(2000, seed=0)],
    ids=["nasty", "empty", "between_empty", "random"],
)
def test_tokens_and_offsets_are_those_of_the_word_tokenizer(split, texts):
    tokenizer = WordTokenizer(lowercase=False)
    wanted = tokenizer.tokenize(texts)
    tokens, offsets = split(tf.constant(texts))
    assert tokens.to_list() == wanted["tokens"].to_list()
    assert offsets.to_list() == wanted["token_offsets"].to_list()
    assert offsets.dtype == tf.int32


def test_offsets_cut_the_tokens_out_of_the_text(split):
    texts = TEXTS + random_texts(500, seed=1)
    tokens, offsets = split(tf.constant(texts))
    for text, row, places in zip(
        texts, tokens.to_list(), offsets.to_list(), strict=True
    ):
        cut = [decoded(text)[start:end] for start, end in places]
        assert cut == [token.decode("utf-8") for token in row]


def test_long_word_stays_whole(split):
    tokens, offsets = split(tf.constant([f" {LONG_WORD}'s"]))
    size = len(LONG_WORD)
    assert tokens.to_list() == [[LONG_WORD.encode(), b"'s"]]
    assert offsets.to_list() == [[[1, size + 1], [size + 1, size + 3]]]


def test_no_texts_give_no_tokens(split):
    tokens, offsets = split(tf.constant([], tf.string))
    assert tokens.to_list() == offsets.to_list() == []
