import numpy as np
import pytest

from glomo_keras.analysis import probes
from tests.analysis.probes.small_texts import TREEBANK


@pytest.fixture
def sentences(tmp_path):
    (tmp_path / "two.conllu").write_text(TREEBANK)
    return probes.read_conllu(tmp_path / "two.conllu")


def graphs_of(sentences, name, pairs):
    """Graphs `(1, 1, T, T)` with edges from (text, receiver, source)."""
    graphs = []
    for index, sentence in enumerate(sentences):
        graph = np.zeros((1, 1, len(sentence.words), len(sentence.words)))
        for text, receiver, source, weight in pairs:
            if text == index:
                graph[0, 0, receiver, source] = weight
        graphs.append({name: graph})
    return graphs


def test_treebank_keeps_words_of_the_tree(sentences):
    first, second = sentences
    assert first.words == "the old cat saw it .".split()
    assert first.heads.tolist() == [2, 2, 3, -1, 3, 3]
    assert second.relations == ["nsubj", "root"]
    assert first.tags[-1] == "PUNCT"


def test_distances_of_heads(sentences):
    assert probes.head_distances(sentences).tolist() == [
        *(2, 1, 1, 0, -1, -2),
        *(1, 0),
    ]
    assert probes.head_distances(sentences, punctuation=False)[5] == 0


def test_second_word_is_not_asked_for_the_first(tmp_path):
    row = "{}\tw\t_\tX\t_\t_\t{}\tx\t_\t_\n".format
    text = row(1, 0) + row(2, 1) + row(3, 2) + "\n" + row(1, 0)
    (tmp_path / "chain.conllu").write_text(text)
    sentences = probes.read_conllu(tmp_path / "chain.conllu")
    assert probes.head_distances(sentences).tolist() == [0, 0, -1, 0]


def test_sentences_know_their_document(tmp_path):
    path = tmp_path / "documents.conllu"
    path.write_text(f"# newdoc id = web-1\n{TREEBANK}")
    assert [s.document for s in probes.read_conllu(path)] == ["web-1"] * 2
    path.write_text(TREEBANK)
    assert probes.read_conllu(path)[0].document == ""
    first = TREEBANK.split("\n\n")[0] + "\n\n"
    text = f"# newdoc id = a\n{first}# newdoc\n{first}#newdoc\n{first}"
    path.write_text(text, "utf-8-sig")
    documents = [s.document for s in probes.read_conllu(path)]
    assert len(documents) == len(set(documents)) == 3


def test_a_treebank_of_another_encoding_is_named(tmp_path):
    path = tmp_path / "latin.conllu"
    path.write_text(TREEBANK.replace("a", "é"), "latin-1")
    with pytest.raises(ValueError, match="Not UTF-8.*latin.conllu"):
        probes.read_conllu(path)


def test_strongest_edges_are_compared_with_heads_by_hand(sentences):
    forward = graphs_of(
        sentences,
        "forward_graphs",
        [
            (0, 4, 3, 0.6),  # "it" <- "saw": right
            (0, 4, 0, 0.4),
            (0, 5, 4, 1.0),  # "." <- "it": wrong
            (1, 1, 0, 1.0),  # of a root: not asked
        ],
    )
    backward = graphs_of(
        sentences,
        "backward_graphs",
        [
            (0, 0, 2, 0.9),  # "the" <- "cat": right
            (0, 1, 3, 1.0),  # "old" <- "saw": wrong; "cat" has no edge
            (1, 0, 1, 1.0),  # "cats" <- "sleep": right
        ],
    )
    graphs = [a | b for a, b in zip(forward, backward, strict=True)]
    tallies = probes.dependency_tallies(
        probes.strongest_sources(graphs), sentences
    )
    assert tallies["forward"].correct.tolist() == [[[1, 0]]]
    assert tallies["forward"].total.tolist() == [2, 0]
    assert tallies["backward"].correct.tolist() == [[[1, 1]]]
    assert tallies["backward"].total.tolist() == [3, 1]
    pair = tallies["forward"].rule((0, 0)) + tallies["backward"].rule((0, 0))
    assert pair.accuracy() == 0.5  # 3 of 6
    without = probes.dependency_tallies(
        probes.strongest_sources(graphs), sentences, punctuation=False
    )
    assert without["forward"].accuracy() == 1.0


def test_offsets_find_the_heads_that_stand_there(sentences):
    found = probes.offset_sources([6, 2], [1, 2])
    tallies = probes.dependency_tallies(found, sentences)
    assert tallies["forward"].accuracy().tolist() == [[0.5, 0.5]]
    assert tallies["backward"].accuracy().tolist() == [[0.75, 0.25]]


def test_offsets_do_not_leave_their_text():
    found = probes.offset_sources([2, 1], [1])
    assert found["forward"].tolist() == [[[0, -1, 0]]]
    assert found["backward"].tolist() == [[[1, 0, 0]]]


def test_tables_count_by_relation_and_distance(sentences):
    found = probes.offset_sources([6, 2], [1])
    rules = {"next": [found[d][0, 0] for d in ("forward", "backward")]}
    rows = probes.dependency_table(rules, sentences)
    assert rows[0] == {"relation": "nsubj", "words": 2, "next": 1.0}
    assert {row["relation"] for row in rows} == {
        *("det", "amod", "nsubj", "obj", "punct")
    }
    rows = probes.dependency_table(
        rules, sentences, by="distance", punctuation=False
    )
    assert rows == [
        {"distance": -1, "words": 1, "next": 1.0},
        {"distance": 1, "words": 3, "next": 1.0},
        {"distance": 2, "words": 1, "next": 0.0},
    ]


def test_spanning_trees_are_compared_with_the_trees_by_hand(sentences):
    graphs = list(probes.decay_graphs([6, 2]))  # the tree is a chain
    tallies = probes.tree_tallies(graphs, sentences, pair=[(0, 0), (0, 0)])
    for side in ("forward", "backward"):
        assert tallies[side].correct.tolist() == [[[3, 1]]]
    assert tallies["both"].correct.tolist() == [3, 1]
    assert tallies["both"].total.tolist() == [5, 1]


def test_spanning_tree_prefers_the_larger_weights(sentences):
    weights = [(0, 2, 0, 0.5), (0, 2, 1, 0.9), (0, 1, 0, 0.2)]
    [graph, _] = graphs_of(sentences, "forward_graphs", weights)
    tallies = probes.tree_tallies([graph], sentences[:1])
    # cat - the and cat - old; the weakest edge would close a circle
    assert tallies["forward"].correct.tolist() == [[[2]]]


def test_answers_and_graphs_of_other_texts_are_refused(sentences):
    found = probes.offset_sources([6], [1])
    with pytest.raises(ValueError, match="Received: 6 answers, 8 words"):
        probes.dependency_tallies(found, sentences)
    with pytest.raises(ValueError, match="Received: a graph of 2 words for"):
        probes.tree_tallies(probes.decay_graphs([2, 2]), sentences)
    with pytest.raises(ValueError, match="Received: by='tag'"):
        probes.dependency_table({}, sentences, by="tag")
    with pytest.raises(ValueError, match="Received: no graphs"):
        probes.strongest_sources([])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no sentence"),
        ("1\tcat\n", "line 1: a word has 10 columns"),
        ("x" + "\t_" * 9, "must be numbers. Received: 'x' and '_'"),
        ("1" + "\t_" * 5 + "\t7" + "\t_" * 3, "Received: the head 7"),
        ("2" + "\t_" * 5 + "\t0" + "\t_" * 3, "the next one is 1.*: 2"),
        (2 * ("1" + "\t_" * 5 + "\t0" + "\t_" * 3 + "\n"), "line 2.*is 2.*: 1"),
    ],
)
def test_files_of_another_format_are_refused(tmp_path, text, message):
    (tmp_path / "bad.conllu").write_text(text)
    with pytest.raises(ValueError, match=f"bad.conllu.*{message}"):
        probes.read_conllu(tmp_path / "bad.conllu")
