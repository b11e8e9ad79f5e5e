import gzip

import keras
import numpy as np
import pytest

from glomo_keras import data
from tests.backends import to_numpy

WORDS = ["<pad>", "<unk>", "the", "cat", "Paris", "zebra"]
FILE = "the 1 2 3\nof 0.5 -0.5 1e-2\ncat -1 .5 4.\nparis 7 8 9\n"
ALL = ("lower", "capitalize", "upper")


def write(tmp_path, text, name="glove.txt"):
    path = tmp_path / name
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    return path


def read(tmp_path, text, vocabulary=WORDS, **kwargs):
    path = write(tmp_path, text)
    return data.read_word_vectors(path, vocabulary, progress=False, **kwargs)


def read_row(tmp_path, text, word, **kwargs):
    words = ["<pad>", "<unk>", word]
    return read(tmp_path, text, words, **kwargs).vectors[2].tolist()


def test_rows_follow_the_vocabulary(tmp_path):
    output = read(tmp_path, FILE)
    assert output.vectors.dtype == "float32"
    np.testing.assert_array_equal(
        output.vectors,
        [[0, 0, 0], [0, 0, 0], [1, 2, 3], [-1, 0.5, 4], [7, 8, 9], [0, 0, 0]],
    )
    assert output.found.tolist() == [False, False, True, True, True, False]


def test_found_rate_is_the_share_of_the_words(tmp_path):
    output = read(tmp_path, FILE)
    assert output.found_rate() == 3 / 4
    assert read(tmp_path, FILE, ["<pad>", "<unk>"]).found_rate() == 0.0


@pytest.mark.parametrize(
    ("word", "fallback", "expected"),
    [
        ("PARIS", ALL, 1),  # lower before capitalised
        ("PARIS", (), 0),
        ("PARIS", ("capitalize",), 2),
        ("usa", ALL, 3),
        ("usa", ("lower", "capitalize"), 0),
        ("Paris", ALL, 2),  # the exact spelling first
        ("paris", ALL, 1),
    ],
)
def test_case_fallback(tmp_path, word, fallback, expected):
    text = "USA 3 3\nParis 2 2\nparis 1 1\nthe 5 5\n"
    row = read_row(tmp_path, text, word, case_fallback=fallback)
    assert row == [expected, expected]


def test_token_with_spaces_is_split_from_the_right(tmp_path):
    text = "the 9 9\n. . . 1 2\nat name@domain.com 3 4\nof 8 8\n"
    assert read_row(tmp_path, text, ". . .") == [1, 2]
    assert read_row(tmp_path, text, "at name@domain.com") == [3, 4]
    assert read_row(tmp_path, text, "at") == [0, 0]
    first = ". . . 1 2\nthe 9 9\n"
    assert read_row(tmp_path, first, ". . .") == [1, 2]


def test_first_of_several_equal_tokens_counts(tmp_path):
    assert read_row(tmp_path, "the 1 2\nthe 3 4\n", "the") == [1, 2]


def test_header_of_word2vec_is_no_word(tmp_path):
    text = "3 2\nthe 1 2\n3 5 6\nof 3 4\n"
    assert read_row(tmp_path, text, "3") == [5, 6]
    with pytest.raises(ValueError, match="says 7 dimensions, not 2"):
        read(tmp_path, text.replace("3 2\n", "3 7\n", 1))


def test_a_wrong_header_a_blank_line_and_odd_tokens_are_counted(tmp_path):
    text = "4 2\nthe 1 2\nroute 66 5 6\n\nof 3 4\n\n"
    counts = "3 rows, 4 by the header"
    message = f"2 blank lines, .*|1 tokens that end in a number, .*{counts}"
    with pytest.warns(UserWarning, match=message) as caught:
        assert read_row(tmp_path, text, "route 66") == [5, 6]
    assert len(caught) == 1 and counts in str(caught[0].message)
    with pytest.warns(UserWarning, match="has 1 blank lines."):
        assert read_row(tmp_path, "the 1 2\nof 3 4\n\n", "of") == [3, 4]


def test_curly_apostrophes_and_combining_marks_find_the_usual_word(tmp_path):
    text = "n't 1 2\ncaf\u00e9 3 4\n"
    assert read_row(tmp_path, text, "n’t", case_fallback=()) == [1, 2]
    assert read_row(tmp_path, text, "cafe\u0301") == [3, 4]
    both = "n’t 5 6\n" + text
    assert read_row(tmp_path, both, "n’t") == [5, 6]


def test_an_archive_is_named(tmp_path):
    path = write(tmp_path, b"PK\x03\x04\x14\x00 1 2", "glove.zip")
    with pytest.raises(ValueError, match="glove.zip is a zip archive"):
        data.read_word_vectors(path, WORDS)


def test_numbers_as_tokens_of_one_dimension_are_no_header(tmp_path):
    assert read_row(tmp_path, "3 2\n4 5\n", "3") == [2]


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", ""])
def test_line_ends_and_byte_order_mark(tmp_path, end):
    text = "\ufeffthe 1 2\n" + "of 3 4" + end
    assert read_row(tmp_path, text, "the") == [1, 2]
    assert read_row(tmp_path, text, "of") == [3, 4]


def test_unicode_tokens_keep_their_unusual_spaces(tmp_path):
    text = "a\u00a0b 1 2\nŁódź 3 4\n\u0085 5 6\n"
    assert read_row(tmp_path, text, "a\u00a0b") == [1, 2]
    assert read_row(tmp_path, text, "łódź", case_fallback=ALL) == [3, 4]
    assert read_row(tmp_path, text, "\u0085") == [5, 6]


def test_gzip_file(tmp_path):
    path = write(tmp_path, gzip.compress(FILE.encode()), "glove.txt.gz")
    output = data.read_word_vectors(path, WORDS)
    assert output.vectors[4].tolist() == [7, 8, 9]
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(OSError, match="cannot be read"):
        data.read_word_vectors(path, WORDS)


def test_oov_normal_draws_from_the_seed(tmp_path):
    words = [*WORDS, *(f"unseen{i}" for i in range(400))]
    output = read(tmp_path, FILE, words, oov="normal", oov_stddev=0.2, seed=3)
    again = read(tmp_path, FILE, words, oov="normal", oov_stddev=0.2, seed=3)
    other = read(tmp_path, FILE, words, oov="normal", oov_stddev=0.2, seed=4)
    drawn = output.vectors[6:]
    assert abs(drawn.std() - 0.2) < 0.02
    np.testing.assert_array_equal(output.vectors, again.vectors)
    assert np.all(drawn != other.vectors[6:])
    assert np.all(output.vectors[1] != 0)
    assert not output.vectors[0].any()
    np.testing.assert_array_equal(output.vectors[2], [1, 2, 3])


def test_oov_mean_is_that_of_the_words_found(tmp_path):
    output = read(tmp_path, FILE, oov="mean")
    expected = [7 / 3, 10.5 / 3, 16 / 3]
    np.testing.assert_allclose(output.vectors[1], expected, rtol=1e-6)
    np.testing.assert_allclose(output.vectors[5], expected, rtol=1e-6)
    assert not output.vectors[0].any()
    nothing = read(tmp_path, FILE, ["<pad>", "<unk>", "zebra"], oov="mean")
    assert not nothing.vectors.any()


def test_special_rows_where_the_file_has_their_tokens(tmp_path):
    text = "the 1 2\n<pad> 3 4\n<unk> 5 6\n<UNK> 7 8\n"
    vectors = read(tmp_path, text, oov="mean").vectors
    assert vectors[:3].tolist() == [[0, 0], [5, 6], [1, 2]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dog 1 2", "fewer than 3 numbers after its token.*2 in 'dog"),
        ("dog", "fewer than 3"),
        ("dog 1 2 3,5", "does not end in 3 numbers.*3,5"),
        ("dog 1  3", "does not end in 3 numbers"),
        ("dog 1 nan 3", "not finite.*1 nan 3"),
        ("dog 1 -inf 3", "not finite"),
        (" 1 2 3", "has no token"),
        (b"d\xff\xfeg 1 2 3", "not UTF-8"),
        (b"d\xc3 1 2 3", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("wanted", [False, True])
def test_broken_line_is_named(tmp_path, line, message, wanted):
    """Whether or not the vocabulary has its word."""
    line = line if isinstance(line, bytes) else line.encode()
    text = FILE.encode() + line + b"\nlast 1 2 3\n"
    words = [*WORDS, "dog"] if wanted else WORDS
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text, words)
    assert f"{tmp_path}/glove.txt, line 5, " in str(caught.value)
    assert "Received: " in str(caught.value)


@pytest.mark.parametrize("broken", ["the 1 2", "the 1 x 3"])
def test_broken_first_line_is_named(tmp_path, broken):
    text = FILE.replace("the 1 2 3", broken)
    with pytest.raises(ValueError, match="line 1, "):
        read(tmp_path, text)


def test_number_beyond_float32(tmp_path):
    with pytest.raises(ValueError, match="line 2, .*float32.*'1e39 2'"):
        read(tmp_path, "the 1 2\ncat 1e39 2\n")


def test_file_that_holds_no_vectors(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.read_word_vectors(tmp_path / "none.txt", WORDS)
    with pytest.raises(ValueError, match="is empty"):
        read(tmp_path, "")
    with pytest.raises(ValueError, match="line 1, has no numbers"):
        read(tmp_path, "a text\nof words\n")
    with pytest.raises(ValueError, match="line 1, is too long"):
        read(tmp_path, "word" + " 1" * 2**19)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"oov": "random"}, "`oov` must be one of.*oov='random'"),
        ({"oov_stddev": -1}, "oov_stddev=-1"),
        ({"case_fallback": "lower"}, "case_fallback='lower'"),
        ({"case_fallback": ["title"]}, "case_fallback=.'title'"),
        ({"dim": 0}, "dim=0"),
        ({"dim": 4}, "line 1, has fewer than 4"),
        ({"dim": 2}, "line 1, has more than 2"),
        ({"vocabulary": ["the"]}, "starts with '<pad>'"),
    ],
)
def test_bad_argument(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, FILE, **kwargs)


def test_embedding_is_frozen_and_survives_saving(tmp_path):
    vectors = read(tmp_path, FILE, oov="mean")
    ids = keras.Input((None,), dtype="int32")
    layer = vectors.embedding(name="word_embedding")
    model = keras.Model(ids, layer(ids))
    assert not model.trainable_weights
    batch = np.array([[2, 4, 1, 0]])
    expected = vectors.vectors[batch]
    np.testing.assert_array_equal(to_numpy(model(batch)), expected)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(batch)), expected)
    assert not loaded.trainable_weights
    assert len(vectors.embedding(trainable=True).trainable_weights) == 1


def test_file_is_read_as_a_stream(tmp_path):
    """Memory follows the vocabulary, not the file."""
    import tracemalloc

    line = " ".join(["0.25"] * 50)
    text = "".join(f"word{i} {line}\n" for i in range(20_000))
    path = write(tmp_path, text)
    tracemalloc.start()
    data.read_word_vectors(path, WORDS, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 20
