import numpy as np

from glomo_keras import data


def test_letters_are_counted_with_their_words():
    words = ["", "aab", "b\u00e9", "\U0001f600"]
    assert data.frequent_letters(words, [0, 2, 3, 1], min_count=4) == "ba"
    assert data.frequent_letters(words, [0, 2, 3, 1], 1) == "ba\u00e9\U0001f600"
    assert data.frequent_letters(words, [0, 0, 0, 0], 1) == ""


def test_long_words_are_cut_and_rare_letters_share_a_number():
    ids = data.letter_ids(["", "abca", "ab\U0001f600b"], "ba", width=3)
    expected = [[0, 0, 0], [3, 2, 1], [3, 2, 1]]
    np.testing.assert_array_equal(ids, expected)
    assert ids.dtype == "int32"
    assert data.letter_ids(["a"], "a").shape == (1, 16)
