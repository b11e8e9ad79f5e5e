"""Texts as slices of one long array of token ids."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class TokenStream:
    """Holds some texts of a tokenised corpus.

    Args:
        token_ids: (all words,) integer array, usually on disk (`np.memmap`).
        text_starts: (texts,) int64, where each text starts in `token_ids`.
        text_lengths: (texts,) int64.
    """

    token_ids: np.ndarray
    text_starts: np.ndarray
    text_lengths: np.ndarray

    @property
    def num_texts(self):
        """Number of texts."""
        return len(self.text_lengths)

    @property
    def num_words(self):
        """Number of words in all texts together."""
        return int(self.text_lengths.sum())

    def text(self, index):
        """Returns the ids of one text, an integer array (words,)."""
        start = self.text_starts[index]
        return self.token_ids[start : start + self.text_lengths[index]]


class JoinedTexts:
    """Reads the texts of a stream in a given order, as one long text.

    Args:
        stream: a `TokenStream`.
        order: (texts,) integer array, or None for the stored order. Defaults to
            `None`.
    """

    def __init__(self, stream, order=None):
        starts, lengths = stream.text_starts, stream.text_lengths
        if order is not None:
            starts, lengths = starts[order], lengths[order]
        self._token_ids = stream.token_ids
        self._ends = np.cumsum(lengths)
        self._shift = starts - (self._ends - lengths)

    def take(self, positions):
        """Returns the ids at positions of the joined text.

        Args:
            positions: integer array of any shape.

        Returns:
            int32 array of the same shape.
        """
        text = np.searchsorted(self._ends, positions, side="right")
        return self._token_ids[self._shift[text] + positions].astype("int32")


def split_texts(token_ids, lengths, validation_fraction, seed):
    """Divides texts into two streams.

    Args:
        token_ids: (words,) integer array.
        lengths: (texts,) int64.
        validation_fraction: float in [0, 1), see `TokenizedCorpus`.
        seed: int.

    Returns:
        Two `TokenStream`, for training and validation.
    """
    starts = np.cumsum(lengths) - lengths
    if len(lengths) == 1 and validation_fraction:
        held_out = max(1, round(validation_fraction * lengths[0]))
        lengths = np.array([lengths[0] - held_out, held_out])
        starts = np.array([0, lengths[0]])
        chosen = np.array([False, True])
    else:
        draws = np.random.default_rng(seed).random(len(lengths))
        count = round(validation_fraction * len(lengths))
        count = max(count, 1) if validation_fraction else 0
        chosen = np.zeros(len(lengths), dtype="bool")
        chosen[np.argsort(draws, kind="stable")[:count]] = True
    train = TokenStream(token_ids, starts[~chosen], lengths[~chosen])
    return train, TokenStream(token_ids, starts[chosen], lengths[chosen])
