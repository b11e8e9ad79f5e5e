import numpy as np
import pytest

from glomo_keras import data


def test_ids_of_words_by_hand():
    ids = data.elmo_char_ids([["A", "né"], [], [b"\xff"]], max_characters=6)
    assert ids.dtype == "int32"
    assert ids.tolist() == [
        [[259, 66, 260, 261, 261, 261], [259, 111, 196, 170, 260, 261]],
        [[0] * 6, [0] * 6],
        [[259, 256, 260, 261, 261, 261], [0] * 6],
    ]


def test_published_size_keeps_48_bytes():
    ids = data.elmo_char_ids([["x" * 47, "x" * 48, "x" * 49, ""]])[0]
    assert ids.shape == (4, 50)
    assert ids[0, -2:].tolist() == [260, 261]
    assert ids[1, -2:].tolist() == [121, 260]
    np.testing.assert_array_equal(ids[1], ids[2])
    assert ids[3, :3].tolist() == [259, 260, 261]


def test_texts_are_cut_and_padded():
    assert data.elmo_char_ids([["a"] * 5, ["b"]], max_length=3).shape[1] == 3
    assert data.elmo_char_ids([[], []]).shape == (2, 1, 50)
    assert data.elmo_char_ids([]).shape == (0, 1, 50)


def test_bad_arguments():
    with pytest.raises(TypeError, match="sequence of words.*'a text'"):
        data.elmo_char_ids(["a text"])
    with pytest.raises(ValueError, match="max_characters=2"):
        data.elmo_char_ids([["a"]], max_characters=2)
