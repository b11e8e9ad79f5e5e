import numpy as np
import pytest

from glomo_keras.analysis import probes
from tests.analysis.probes.small_texts import GAP


@pytest.fixture
def pronouns(tmp_path):
    (tmp_path / "gap.tsv").write_text(GAP)
    return probes.read_gap(tmp_path / "gap.tsv")


def offsets_of(pronouns):
    """Offsets of the words between blanks."""
    offsets = []
    for pronoun in pronouns:
        words = pronoun.text.split(" ")
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        starts = ends - [len(word) for word in words]
        offsets.append(np.stack([starts, ends], axis=1))
    return offsets


def graphs_of(offsets, name, edges):
    graphs = [np.zeros((1, 1, len(rows), len(rows))) for rows in offsets]
    for text, receiver, source, weight in edges:
        graphs[text][0, 0, receiver, source] = weight
    return [{name: graph} for graph in graphs]


def test_rows_of_gap_are_pronouns_with_two_names(pronouns):
    first, second, third = pronouns
    assert first.text[slice(*first.pronoun)] == "she"
    assert [first.text[slice(*n)] for n in first.names] == ["Ann Lee", "Bea"]
    assert (first.answer, second.answer, third.answer) == (0, 1, None)


def test_name_with_the_largest_weight_is_the_answer(pronouns):
    offsets = offsets_of(pronouns)
    edges = [
        (0, 5, 1, 0.4),  # "she" <- "Lee"
        (0, 5, 3, 0.3),  # "she" <- "Bea"
        (1, 2, 0, 1.0),  # "her" <- "Cy", wrong
        (2, 4, 0, 1.0),  # not asked
    ]
    tallies = probes.coreference_tallies(
        graphs_of(offsets, "forward_graphs", edges), pronouns, offsets
    )
    assert tallies["forward"].correct.tolist() == [[[1, 0, 0]]]
    assert tallies["forward"].total.tolist() == [1, 1, 0]


def test_backward_graphs_see_the_names_after_the_pronoun(pronouns):
    offsets = offsets_of(pronouns)
    edges = [(1, 2, 4, 0.1)]  # "her" <- "Di"
    tallies = probes.coreference_tallies(
        graphs_of(offsets, "backward_graphs", edges), pronouns, offsets
    )
    # Without an edge to either the answer is the first name: right in text 1.
    assert tallies["backward"].correct.tolist() == [[[1, 1, 0]]]


def test_nearest_name_by_hand(pronouns):
    tally = probes.nearest_name(pronouns, offsets_of(pronouns))
    # Bea is nearer than Lee: wrong. Cy and Di are two words away: the first.
    assert tally.correct.tolist() == [0, 0, 0]
    assert tally.accuracy() == 0


def test_name_without_a_token_is_refused(pronouns):
    offsets = [rows[:1] for rows in offsets_of(pronouns)]
    with pytest.raises(ValueError, match="Received: none for 'she'"):
        probes.nearest_name(pronouns, offsets)


@pytest.mark.parametrize(
    "text, message",
    [
        ("ID\tText\n1\tcat", "Received: no .*'A', 'A-coref'"),
        (GAP.replace("\t18\t", "\t17\t"), "row 1: .*Received: 'she' at '17'"),
        (f"{GAP.splitlines()[0]}\n1\tShe", "row 1: .*Received: '' at ''"),
    ],
)
def test_files_of_another_format_are_refused(tmp_path, text, message):
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(ValueError, match=f"bad.tsv.*{message}"):
        probes.read_gap(tmp_path / "bad.tsv")
