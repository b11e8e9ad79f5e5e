import numpy as np
import pytest

from glomo_keras.analysis import top_edges


def test_top_edges_are_receiver_source_weight_in_falling_order():
    graph = [[0, 0, 0], [0.4, 0, 0], [0.1, 0.9, 0]]
    assert top_edges(graph, ["a", "b", "c"], k=2) == [
        ("c", "b", 0.9),
        ("b", "a", 0.4),
    ]


def test_top_edges_of_equal_weight_come_in_reading_order():
    graph = np.tril(np.ones((3, 3)), -1)
    pairs = [edge[:2] for edge in top_edges(graph, list("abc"))]
    assert pairs == [("b", "a"), ("c", "a"), ("c", "b")]


def test_top_edges_leaves_zeros_out():
    assert top_edges(np.zeros((3, 3)), list("abc")) == []
    assert len(top_edges(np.eye(3, k=-1), list("abc"), k=9)) == 2


@pytest.mark.parametrize(
    "graph, tokens, k, message",
    [
        (np.ones((1, 2, 2)), "ab", 1, "2 axes.*Received: graph of shape"),
        (np.ones((2, 2)), "abc", 1, "Received: 3 tokens"),
        (-np.ones((2, 2)), "ab", 1, "none of them negative"),
        (np.ones((2, 2)), "ab", 0, "Received: k=0"),
    ],
)
def test_wrong_arguments_are_refused(graph, tokens, k, message):
    with pytest.raises(ValueError, match=message):
        top_edges(graph, tokens, k)
