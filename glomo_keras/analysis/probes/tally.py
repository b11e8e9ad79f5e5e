"""Counts right answers, with intervals over texts."""

import dataclasses

import numpy as np

from glomo_keras.utils.graph_arrays import ratio
from glomo_keras.utils.validation import check_positive


@dataclasses.dataclass(frozen=True)
class Tally:
    """Holds the right answers of rules, counted by text.

    Questions from one text are not independent, so intervals are bootstrapped
    over texts (the percentile bootstrap); draws without a question do not
    count. The interval of a rule that was chosen on the same texts is too
    favourable: choose on others.

    Attributes:
        correct: array `(..., S)`, right answers of each rule in each of S
            texts.
        total: array `(S,)`, questions in each text.

    Example:

    >>> tally = Tally(np.array([[2, 1], [0, 1]]), np.array([2, 2]))
    >>> tally.accuracy(), tally.best()
    (array([0.75, 0.25]), (0,))
    """

    correct: np.ndarray
    total: np.ndarray

    def accuracy(self):
        """Returns the share of right answers of each rule, `(...)`."""
        return ratio(self.correct.sum(-1), self.total.sum())

    def best(self):
        """Returns the index of the most accurate rule, a tuple of ints."""
        accuracy = self.accuracy()
        place = np.unravel_index(np.argmax(accuracy), accuracy.shape)
        return tuple(int(index) for index in place)

    def rule(self, index):
        """Returns the tally of one rule."""
        return Tally(self.correct[index], self.total)

    def __add__(self, other):
        """Returns the tally of two sets of questions on the same texts."""
        # Booleans count too; `+` would be their "or".
        return Tally(
            np.add(self.correct, other.correct, dtype="int64"),
            np.add(self.total, other.total, dtype="int64"),
        )

    def interval(self, other=None, confidence=0.95, resamples=1000, seed=0):
        """Returns the bootstrap interval of the accuracy.

        Args:
            other: `Tally` of the same texts, whose accuracy is subtracted.
                Defaults to None.
            confidence: float. Defaults to 0.95.
            resamples: int, how often texts are drawn. Defaults to 1000.
            seed: int. Defaults to 0.

        Returns:
            Array `(2, ...)`, the low and the high end.

        Raises:
            ValueError: If there is no question, the confidence is not
                between 0 and 1, or `resamples` is not positive.
        """
        check_positive(resamples=resamples)
        if not 0 < confidence < 1:
            raise ValueError(
                "`confidence` must be between 0 and 1. "
                f"Received: confidence={confidence}"
            )
        tallies = [self] if other is None else [self, other]
        if not all(each.total.sum() for each in tallies):
            raise ValueError(
                "An interval needs at least one question. "
                f"Received: {len(self.total)} texts with 0 questions"
            )
        count = len(self.total)
        draws = np.random.default_rng(seed).multinomial(
            count, np.full(count, 1 / count), size=resamples
        )  # (R, S)
        for each in tallies:
            draws = draws[draws @ each.total > 0]
        if not len(draws):
            raise ValueError(
                "No draw of texts has a question: raise `resamples`. "
                f"Received: resamples={resamples}"
            )
        values = self._drawn(draws)
        if other is not None:
            values = values - other._drawn(draws)
        tails = (1 - confidence) / 2
        return np.quantile(values, (tails, 1 - tails), axis=-1)

    def _drawn(self, draws):
        """Returns the accuracies in each resample of the texts, `(..., R)`."""
        return ratio(self.correct @ draws.T, self.total @ draws.T)


def tally(correct, asked, lengths):
    """Counts right answers by text.

    Args:
        correct: boolean array `(..., N)`, of the words of all texts.
        asked: boolean array `(N,)`, the words that are questions.
        lengths: sequence of S integers that sum to N, the words of each text.

    Returns:
        A `Tally`.
    """
    ends = np.cumsum(lengths)

    def by_text(values):
        sums = np.cumsum(values, axis=-1)
        sums = np.concatenate([np.zeros_like(sums[..., :1]), sums], axis=-1)
        return sums[..., ends] - sums[..., ends - np.asarray(lengths)]

    return Tally(by_text(correct & asked), by_text(asked))
