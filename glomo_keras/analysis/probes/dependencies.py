"""Tests whether the strongest edges lead to the heads of dependency trees."""

import numpy as np

from glomo_keras.analysis.probes.strongest import SIGNS
from glomo_keras.analysis.probes.strongest import check_words
from glomo_keras.analysis.probes.tally import Tally
from glomo_keras.analysis.probes.tally import tally
from glomo_keras.ops.graphs import checked_directions

PUNCTUATION = "PUNCT"


def head_distances(sentences, punctuation=True):
    """Returns where the head of each word stands.

    The second word is not asked for a head before it: that can only be the
    first word, the single source of its forward row.

    Args:
        sentences: list of `Sentence`.
        punctuation: whether punctuation is asked. Defaults to True.

    Returns:
        int array `(N,)`, the position of the head less that of the word; 0
        where nothing is asked.
    """
    parts = []
    for sentence in sentences:
        asked = _asked(sentence, punctuation)
        distances = sentence.heads - np.arange(len(sentence.words))
        distances[1:2] = np.maximum(distances[1:2], 0)
        parts.append(np.where(asked, distances, 0))
    return np.concatenate(parts)


def dependency_tallies(found, sentences, punctuation=True):
    """Counts the words whose strongest edge comes from their head.

    A forward graph's row can only name words before the word, a backward
    graph's row only words after it. So forward rules are asked for the heads
    that stand before their word, backward rules for those after it. The sum
    of two tallies is that of a pair of rules: the attachment score of a
    reader who knows on which side the head is. Roots are not asked; a row
    without an edge is a wrong answer. The second word of a sentence is not
    asked by forward rules, whose answer would be forced. The last word but
    one of backward rules is: a sentence seldom ends in a head.

    Args:
        found: dict of arrays `(L, K, N)`, see `strongest_sources`.
        sentences: list of `Sentence`, of the same N words.
        punctuation: whether punctuation is asked. Defaults to True.

    Returns:
        Dict of `Tally` with rules `(L, K)`, for the directions of `found`.

    Raises:
        ValueError: If there are not as many words as answers.
    """
    wanted = head_distances(sentences, punctuation)
    lengths = [len(sentence.words) for sentence in sentences]
    tallies = {}
    for direction, answers in found.items():
        check_words(answers, len(wanted))
        asked = np.sign(wanted) == SIGNS[direction]
        tallies[direction] = tally(answers == wanted, asked, lengths)
    return tallies


def dependency_table(rules, sentences, by="relation", punctuation=True):
    """Compares pairs of rules by relation or by distance.

    Args:
        rules: dict of name to pair `(forward, backward)` of int arrays
            `(N,)`, the answers of one rule each, such as
            `found["forward"][layer, head]`.
        sentences: list of `Sentence`, of the same N words.
        by: `"relation"`, its part before a colon, or `"distance"` from the
            word to its head, negative for heads before it. Defaults to
            `"relation"`.
        punctuation: whether punctuation is asked. Defaults to True.

    Returns:
        List of dicts, of relations the most frequent first: the relation or
        distance, `words`, and for each rule the share of right answers.

    Raises:
        ValueError: If there are not as many words as answers, or `by` is
            another.
    """
    wanted = head_distances(sentences, punctuation)
    asked = wanted != 0
    if by == "distance":
        groups = wanted[asked]
    elif by == "relation":
        names = [name for s in sentences for name in s.relations]
        groups = np.array([name.split(":")[0] for name in names])[asked]
    else:
        raise ValueError(
            f"`by` must be 'relation' or 'distance'. Received: by={by!r}"
        )
    correct = {}
    for name, (forward, backward) in rules.items():
        check_words(forward, len(wanted))
        answers = np.where(wanted < 0, forward, backward)
        correct[name] = (answers == wanted)[asked]
    names, places, counts = np.unique(
        groups, return_inverse=True, return_counts=True
    )
    order = range(len(names)) if by == "distance" else np.argsort(-counts)
    return [
        {
            by: names[group].item(),
            "words": int(counts[group]),
            **{
                name: float(right[places == group].mean())
                for name, right in correct.items()
            },
        }
        for group in order
    ]


def tree_tallies(graphs, sentences, pair=None, punctuation=True):
    """Counts the edges of dependency trees in maximum spanning trees.

    The weight of two words is what the graph leads from one to the other; the
    tree of a sentence connects its words (as far as there are edges) with the
    largest sum of weights, and its edges are compared with those of the
    dependency tree, both without direction: the UUAS.

    Args:
        graphs: iterable of dicts as `word_graphs` yields, one a sentence.
        sentences: list of `Sentence`.
        pair: two indices `(layer, head)` from 0, of a forward and a backward
            graph whose weights are added. Defaults to None.
        punctuation: whether edges to punctuation count. Defaults to True.

    Returns:
        Dict of `Tally` with rules `(L, K)` of the directions of the graphs
        and, with a pair, `both` with one rule.

    Raises:
        ImportError: If scipy is not installed.
        ValueError: If there are not as many graphs as sentences, or a graph
            is of another length.
    """
    correct, total = {}, []
    for of_text, sentence in zip(graphs, sentences, strict=True):
        asked = _asked(sentence, punctuation)
        edges = np.flatnonzero(asked), sentence.heads[asked]
        total.append(asked.sum())
        for name, graph in _candidates(of_text, pair).items():
            if graph.shape[-1] != len(sentence.words):
                raise ValueError(
                    "A graph must be of its sentence. Received: a graph of "
                    f"{graph.shape[-1]} words for {sentence.words}"
                )
            correct.setdefault(name, []).append(_right_edges(graph, edges))
    return {
        name: Tally(np.stack(counts, axis=-1), np.array(total))
        for name, counts in correct.items()
    }


def _asked(sentence, punctuation):
    asked = sentence.heads >= 0
    if not punctuation:
        asked = asked & (np.array(sentence.tags) != PUNCTUATION)
    return asked


def _candidates(graphs, pair):
    candidates = {
        direction: graphs[f"{direction}_graphs"]
        for direction in checked_directions(graphs)
    }
    if pair is not None:
        first, second = (tuple(index) for index in pair)
        candidates["both"] = (
            candidates["forward"][first] + candidates["backward"][second]
        )
    return candidates


def _right_edges(graph, edges):
    """How many of the edges the maximum spanning tree of each graph has."""
    from scipy.sparse.csgraph import minimum_spanning_tree

    counts = np.zeros(graph.shape[:-2], "int64")
    for index in np.ndindex(counts.shape):
        weights = graph[index].astype("float64")
        tree = minimum_spanning_tree(-(weights + weights.T)).toarray() != 0
        counts[index] = (tree | tree.T)[edges].sum()
    return counts
