"""Words of a task as numbers."""

import numpy as np

from glomo_keras.data import Lexicon
from glomo_keras.data import WordTokenizer

TEXTS = ["It isn't 7.5 km!", "", "it ISN'T\U0001f600 it", "   "]


def test_rows_name_the_tokens_and_offsets_cut_them_out():
    lexicon = Lexicon()
    rows, offsets = lexicon.add(TEXTS)
    assert [len(row) for row in rows] == [6, 0, 5, 0]
    for text, row, places in zip(TEXTS, rows, offsets, strict=True):
        assert row.dtype == "int32" and places.shape == (len(row), 2)
        tokens = [lexicon.words[number] for number in row]
        assert tokens == [text[start:end] for start, end in places]


def test_numbers_stay_when_texts_are_added():
    lexicon = Lexicon()
    first, _ = lexicon.add(TEXTS)
    again, _ = lexicon.add(["New. It", *TEXTS] * 99, max_length=3)
    assert len(lexicon) == len(set(lexicon.words))
    for one, two in zip(first, again[-4:], strict=True):
        np.testing.assert_array_equal(one[:3], two)


def test_token_ids_are_those_of_the_predictors_tokenizer():
    tokenizer = WordTokenizer(
        ["<pad>", "<unk>", "it", "N", "n't", "is"], lowercase=True, numbers="N"
    )
    lexicon = Lexicon()
    rows, _ = lexicon.add(TEXTS)
    table = lexicon.token_ids(tokenizer)
    assert len(table) == len(lexicon) and table[0] == 0
    wanted = tokenizer(TEXTS)
    for row, ids, mask in zip(
        rows,
        wanted["token_ids"].numpy(),
        wanted["padding_mask"].numpy(),
        strict=True,
    ):
        np.testing.assert_array_equal(table[row], ids[mask])
