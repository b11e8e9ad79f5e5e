import numpy as np
import pytest

from glomo_keras.analysis import probes

TEXTS = ["a b c a b".split(), "d d".split()]


def counts(tallies, direction):
    tally = tallies[direction]
    return tally.correct.tolist(), tally.total.tolist()


def test_earlier_and_later_occurrences_of_words_by_hand():
    found = probes.offset_sources([5, 2], [1, 3])
    tallies = probes.induction_tallies(found, TEXTS)
    # Asked: the second a and b, three words after the first; the second d.
    assert counts(tallies, "forward") == ([[[0, 1], [2, 0]]], [2, 1])
    assert counts(tallies, "backward") == ([[[0, 1], [2, 0]]], [2, 1])


def test_occurrences_of_two_words_by_hand():
    found = probes.offset_sources([5, 2], [3])
    tallies = probes.induction_tallies(found, TEXTS, length=2)
    assert counts(tallies, "forward") == ([[[1, 0]]], [1, 0])  # second b
    assert counts(tallies, "backward") == ([[[1, 0]]], [1, 0])  # first a


def test_successors_by_hand():
    found = probes.offset_sources([5, 2], [2])
    tallies = probes.induction_tallies(found, TEXTS, target="successor")
    # Of the second a the first b, of the second b the c; of d there is none
    # before the word itself.
    assert counts(tallies, "forward") == ([[[2, 0]]], [2, 0])
    assert counts(tallies, "backward") == ([[[2, 0]]], [2, 0])


def test_texts_shorter_than_the_ngram_are_not_asked():
    found = probes.offset_sources([2], [1])
    tallies = probes.induction_tallies(found, [["d", "d"]], length=3)
    assert counts(tallies, "forward") == ([[[0]]], [0])


def test_rows_without_an_edge_are_wrong():
    found = {"forward": np.zeros((1, 1, 7), "int32")}
    tallies = probes.induction_tallies(found, TEXTS)
    assert counts(tallies, "forward") == ([[[0, 0]]], [2, 1])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"length": 0}, "Received: length=0"),
        ({"target": "next"}, "Received: target='next'"),
        ({"texts": TEXTS[:1]}, "Received: 7 answers, 5 words"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    found = probes.offset_sources([5, 2], [1])
    with pytest.raises(ValueError, match=message):
        probes.induction_tallies(found, **{"texts": TEXTS, **options})
