"""Tests whether the strongest edges lead to where an n-gram stood before."""

import numpy as np

from glomo_keras.analysis.probes.strongest import check_words
from glomo_keras.analysis.probes.tally import tally
from glomo_keras.utils.validation import check_option
from glomo_keras.utils.validation import check_positive

TARGETS = ("occurrence", "successor")


def induction_tallies(found, texts, length=1, target="occurrence"):
    """Counts the strongest edges that lead to an earlier occurrence.

    A word is asked of forward rules if the n-gram that ends with it occurs
    before it in its text; right is the last word of any earlier occurrence,
    or, for `target="successor"`, the word after it (the target of induction
    heads). Backward rules are asked the mirror image: the n-gram that starts
    with the word, a later occurrence, the word before that.

    Args:
        found: dict of arrays `(L, K, N)`, see `strongest_sources`.
        texts: list of sequences of words or ids, of the same N words.
        length: int, words in an n-gram. Defaults to 1.
        target: `"occurrence"` or `"successor"`. Defaults to `"occurrence"`.

    Returns:
        Dict of `Tally` with rules `(L, K)`, for the directions of `found`.

    Raises:
        ValueError: If there are not as many words as answers, the length is
            not positive or the target another.

    Example:

    >>> from glomo_keras.analysis.probes import offset_sources
    >>> found = offset_sources([4], [1, 2])
    >>> tallies = induction_tallies(found, [["no", "yes", "no", "yes"]])
    >>> tallies["forward"].accuracy()
    array([[0., 1.]])
    """
    check_positive(length=length)
    check_option("target", target, TARGETS)
    lengths = [len(text) for text in texts]
    step = TARGETS.index(target)
    tallies = {}
    for direction, answers in found.items():
        check_words(answers, sum(lengths))
        correct = np.zeros(answers.shape, "bool")
        asked = np.zeros(answers.shape[-1], "bool")
        end = 0
        for text in texts:
            start, end = end, end + len(text)
            right = _right_sources(text, length, step, direction)  # (T, T)
            asked[start:end] = right.any(-1)
            at = np.arange(len(text))
            sources = at + answers[..., start:end]
            correct[..., start:end] = right[at, sources]
        tallies[direction] = tally(correct, asked, lengths)
    return tallies


def _right_sources(text, length, step, direction):
    """Boolean `(T, T)`: which sources are right for which words."""
    _, ids = np.unique(np.asarray(text), return_inverse=True)
    if direction == "backward":
        ids = ids[::-1]
    same = ids[:, None] == ids  # (T, T)
    ngrams = same.copy()
    for shift in range(1, length):
        ngrams[shift:, shift:] &= same[:-shift, :-shift]
        ngrams[:shift] = ngrams[:, :shift] = False
    right = np.zeros_like(ngrams)
    right[:, step:] = ngrams[:, : len(ids) - step]
    right = np.tril(right, -1)
    return right[::-1, ::-1] if direction == "backward" else right
