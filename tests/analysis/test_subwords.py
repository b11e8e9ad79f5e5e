import keras
import numpy as np
import pytest

from glomo_keras.analysis import find_offsets
from glomo_keras.analysis import subword_graphs

WORDS = np.array([[[0, 3], [4, 7], [8, 11], [0, 0]]])  # three and padding
# [CLS], two pieces of the first word, two words whole, [SEP]
PIECES = np.array([[[0, 0], [0, 2], [2, 3], [4, 7], [8, 11], [0, 0]]])


def word_graph():
    graph = np.zeros((1, 1, 1, 4, 4), "float32")
    graph[0, 0, 0, 1, 0] = 1
    graph[0, 0, 0, 2, :2] = 0.4, 0.6
    return graph


def test_weights_are_divided_among_the_pieces_of_a_source():
    graph = subword_graphs(word_graph(), WORDS, PIECES)[0, 0, 0]
    expected = np.zeros((6, 6))
    expected[3, 1:3] = 2 / 3, 1 / 3
    expected[4, 1:4] = 0.8 / 3, 0.4 / 3, 0.6
    np.testing.assert_allclose(graph, expected, atol=1e-6)
    assert graph.dtype == "float32"


def test_all_pieces_of_a_word_receive_what_it_receives():
    pieces = np.array([[[0, 3], [4, 5], [5, 7], [8, 11]]])
    graph = subword_graphs(word_graph(), WORDS, pieces)[0, 0, 0]
    np.testing.assert_allclose(graph[1], [1, 0, 0, 0])
    np.testing.assert_allclose(graph[2], [1, 0, 0, 0])
    np.testing.assert_allclose(graph[3], [0.4, 0.2, 0.4, 0], atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_edges_without_weights_are_divided_too(dtype):
    edges = word_graph() > 0
    graph = subword_graphs(edges.astype(dtype), WORDS, PIECES)[0, 0, 0]
    assert graph.dtype == "float64"
    np.testing.assert_allclose(graph[3, 1:3], [2 / 3, 1 / 3])


def test_rows_still_sum_to_one_or_zero():
    rng = np.random.default_rng(0)
    graphs = np.tril(rng.random((2, 2, 3, 9, 9)), -1)
    graphs /= np.maximum(graphs.sum(-1, keepdims=True), 1e-9)
    ends = np.cumsum(rng.integers(1, 5, (2, 9)), axis=1)
    words = np.stack([np.pad(ends[:, :-1], ((0, 0), (1, 0))), ends], -1)
    pieces = np.sort(rng.integers(0, 25, (2, 12, 2)), axis=-1)
    rows = subword_graphs(graphs, words, pieces).sum(-1)
    assert np.all((np.abs(rows - 1) < 1e-9) | (rows == 0))
    assert np.any(rows > 0)


@pytest.mark.parametrize("share", [1, 0.3])
def test_graphs_on_their_own_words_are_the_same(share):
    graph = word_graph()
    graph[..., 2, :] *= share  # as a mixture with a head without an edge
    same = subword_graphs(graph, WORDS, WORDS)
    np.testing.assert_allclose(same, graph, atol=1e-7)
    pieces = subword_graphs(graph, WORDS, PIECES)[0, 0, 0]
    np.testing.assert_allclose(pieces.sum(-1)[3:5], [1, share], atol=1e-6)


def test_rows_of_sources_that_are_cut_off_are_scaled_or_zero():
    graph = subword_graphs(word_graph(), WORDS, PIECES[:, 3:])[0, 0, 0]
    assert not graph[0].any()  # its only source is gone
    np.testing.assert_allclose(graph[1], [1, 0, 0])


def test_dict_of_graphs_gives_a_dict():
    graphs = {"forward_graphs": word_graph()}
    result = subword_graphs(graphs, WORDS, PIECES)
    assert result["forward_graphs"].shape == (1, 1, 1, 6, 6)


def test_offsets_of_pieces_with_marks_case_and_accents():
    pieces = ["[CLS]", "em", "##ile", "'", "s", "Ġcafe", "▁2", "[SEP]"]
    offsets = find_offsets("Émile's CAFÉ 2", pieces)
    assert offsets.tolist() == [
        [0, 0],
        [0, 2],
        [2, 5],
        [5, 6],
        [6, 7],
        [8, 12],
        [13, 14],
        [0, 0],
    ]


def found(text, pieces):
    return [text[start:end] for start, end in find_offsets(text, pieces)]


def test_a_piece_after_an_unknown_word_is_not_found_inside_it():
    text, pieces = "Za\U00010348 a cat", ["[UNK]", "a", "cat"]
    assert found(text, pieces) == ["", "a", "cat"]
    assert find_offsets(text, pieces)[1].tolist() == [4, 5]
    text, pieces = "ab\U00010348cd cd", ["▁ab", "<unk>", "cd", "▁cd"]
    assert find_offsets(text, pieces)[2:].tolist() == [[3, 5], [6, 8]]
    assert found("我\U00020000你", ["我", "[UNK]", "你"]) == ["我", "", "你"]


def test_a_piece_of_other_letters_does_not_take_the_rest_of_the_text():
    pieces = ["he", "smiled", ";", "a", "cat", ".", ";"]
    expected = ["He", "smiled", "", "a", "cat", ".", ";"]
    assert found("He smiled, a cat. 😀 ;", pieces) == expected
    pieces = ["wait", "...", "x2", "."]  # as NFKC has them
    assert found("Wait… x².", pieces) == ["Wait", "…", "x²", "."]


def test_text_without_pieces_has_no_offsets():
    assert find_offsets("", []).shape == (0, 2)


@pytest.mark.parametrize(
    "graphs, words, pieces, message",
    [
        (word_graph(), WORDS[:, :3], PIECES, r"`word_offsets`.*\(1, 4, 2\)"),
        (word_graph(), WORDS, PIECES[0], r"`subword_offsets`.*shape \(6, 2\)"),
        (word_graph(), WORDS * 1.0, PIECES, "Received: word_offsets of float"),
        (-word_graph(), WORDS, PIECES, "none of them negative"),
        (np.zeros((4, 4)), WORDS, PIECES, "must have 3 axes"),
        (
            {"forward_graphs": {"past_keys": word_graph()}},
            WORDS,
            PIECES,
            "an array here.*a dict with the entries .'past_keys'.",
        ),
    ],
)
def test_wrong_arguments_are_refused(graphs, words, pieces, message):
    with pytest.raises(ValueError, match=message):
        subword_graphs(graphs, words, pieces)


def test_long_rows_of_bfloat16_keep_their_sums():
    length = 600
    row = np.zeros((1, 1, 1, length + 1, length + 1))
    row[..., -1, :length] = 1 / length
    graph = keras.ops.convert_to_numpy(keras.ops.cast(row, "bfloat16"))
    ends = np.arange(length + 1)
    words = np.stack([ends, ends + 1], axis=-1)[None]
    found = subword_graphs(graph, words, words).astype("float64")
    np.testing.assert_allclose(found[0, 0, 0, -1].sum(), 1, atol=0.01)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_unsigned_offsets_are_those_of_signed_ones(dtype):
    words, pieces = WORDS.astype(dtype), PIECES.astype(dtype)
    np.testing.assert_array_equal(
        subword_graphs(word_graph(), words, pieces),
        subword_graphs(word_graph(), WORDS, PIECES),
    )


def test_words_in_capitals_are_found_in_any_script():
    words = ["Ο", "ΛΟΓΟΣ", "ΕΙΝΑΙ", "ΚΑΛΟΣ"]
    offsets = find_offsets(" ".join(words), words)
    assert offsets.tolist() == [[0, 1], [2, 7], [8, 13], [14, 19]]
    offsets = find_offsets("Die Straße", ["die", "strasse"])
    assert offsets.tolist() == [[0, 3], [4, 10]]
