"""Evaluation windows: every token of a stream exactly once."""

import numpy as np

from glomo_keras.data.text.token_stream import JoinedTexts
from glomo_keras.utils.validation import check_positive


class EvaluationWindows:
    """Gives a finite, fixed sequence of batches that cover a stream once.

    The texts are joined in their stored order and cut every `max_length`
    tokens, so the windows do not depend on the batch size. The end of the
    last batch is padding, which may be whole rows.

    Args:
        stream: a `TokenStream`.
        batch_size: int.
        max_length: int. Defaults to `200`.

    Raises:
        ValueError: If an argument is below 1, or the stream is empty.

    Example:

    >>> from glomo_keras.data import TokenStream
    >>> ids = np.arange(2, 12, dtype="int32")
    >>> stream = TokenStream(ids, np.array([0]), np.array([10]))
    >>> windows = EvaluationWindows(stream, batch_size=2, max_length=4)
    >>> [batch["token_ids"].tolist() for batch in windows]
    [[[2, 3, 4, 5], [6, 7, 8, 9]], [[10, 11, 0, 0], [0, 0, 0, 0]]]
    """

    def __init__(self, stream, batch_size, max_length=200):
        check_positive(batch_size=batch_size, max_length=max_length)
        self.num_words = stream.num_words
        if not self.num_words:
            raise ValueError(
                "The stream is empty: was a validation_fraction given? "
                f"Received: {stream.num_texts} texts, 0 words"
            )
        self.batch_size = batch_size
        self.max_length = max_length
        self._texts = JoinedTexts(stream)

    def __len__(self):
        return -(-self.num_words // (self.batch_size * self.max_length))

    def __iter__(self):
        return (self.batch(step) for step in range(len(self)))

    def batch(self, step, rows=slice(None)):
        """Returns a batch.

        Args:
            step: int, below `len(self)`.
            rows: slice, the rows of the batch to read. Defaults to all.

        Returns:
            Dict of `token_ids` int32 (B, T), 0 where padded, and
            `padding_mask` bool (B, T), T being `max_length`.

        Raises:
            IndexError: If there is no such batch.
        """
        if not 0 <= step < len(self):
            raise IndexError(
                f"There are {len(self)} batches. Received: step={step}"
            )
        numbers = np.arange(self.batch_size)[rows] + step * self.batch_size
        positions = numbers[:, None] * self.max_length + np.arange(
            self.max_length
        )  # (B, T)
        mask = positions < self.num_words
        token_ids = np.zeros(positions.shape, dtype="int32")
        token_ids[mask] = self._texts.take(positions[mask])
        return {"token_ids": token_ids, "padding_mask": mask}
