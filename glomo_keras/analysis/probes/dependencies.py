"""Do the strongest edges lead to the heads of a dependency tree?"""

import numpy as np

from glomo_keras.analysis.probes.strongest import SIGNS
from glomo_keras.analysis.probes.tally import Tally
from glomo_keras.analysis.probes.tally import tally
from glomo_keras.utils.graph_arrays import ratio


def head_distances(sentences, punctuation=True):
    """Returns where the head of each word stands.

    Args:
        sentences: list of `Sentence`.
        punctuation: whether punctuation counts. Defaults to True.

    Returns:
        int array `(N,)`, the position of the head less that of the word; 0
        where nothing is asked: for roots and, if so, punctuation.
    """
    parts = []
    for sentence in sentences:
        distances = sentence.heads - np.arange(len(sentence.words))
        asked = sentence.heads >= 0
        if not punctuation:
            asked &= np.array(sentence.tags) != "PUNCT"
        parts.append(np.where(asked, distances, 0))
    return np.concatenate(parts)


def dependency_tallies(found, sentences, punctuation=True):
    """Counts the words whose head is the source of their strongest edge.

    A forward graph's row can only name words before the word, a backward
    graph's row only words after it. So forward rules are asked for the heads
    before a word, backward rules for those after it, and their sum, the
    tally of a pair of rules, is an attachment score of a reader who knows on
    which side the head is. Roots are not asked. A row without an edge is a
    wrong answer.

    Args:
        found: dict of arrays `(L, K, N)`, see `strongest_sources`.
        sentences: list of `Sentence`, of the same N words.
        punctuation: whether punctuation counts. Defaults to True.

    Returns:
        Dict of `Tally` with rules `(L, K)`, for the directions of `found`.

    Raises:
        ValueError: if there are not as many words as answers.
    """
    wanted = head_distances(sentences, punctuation)
    lengths = [len(sentence.words) for sentence in sentences]
    tallies = {}
    for direction, answers in found.items():
        check_words(answers, wanted)
        asked = np.sign(wanted) == SIGNS[direction]
        tallies[direction] = tally(answers == wanted, asked, lengths)
    return tallies


def relation_table(rules, sentences, by="relation", punctuation=True):
    """Compares answers by relation or by distance.

    Args:
        rules: dict of name to int array `(N,)`: answers as those of
            `strongest_sources`, of one rule, or the sum of a forward and a
            backward rule's, both of which are then asked.
        sentences: list of `Sentence`, of the same N words.
        by: `"relation"`, the part before a colon, or `"distance"` in words,
            negative for heads before the word. Defaults to `"relation"`.
    """
