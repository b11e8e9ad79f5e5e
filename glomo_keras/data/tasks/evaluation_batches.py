"""Evaluation batches: every example exactly once."""

import numpy as np

from glomo_keras.utils.validation import check_positive


class EvaluationBatches:
    """Gives a finite, fixed sequence of batches that cover examples once.

    The examples are sorted by length; the last batch, of the longest, may be
    smaller.

    Args:
        examples: `Examples`.
        batch_size: int.

    Raises:
        ValueError: If `batch_size` is below 1.

    Attributes:
        batch_size: as given, or None where the last batch is smaller.
        order: int array `(N,)`: the examples in the order of the batches.

    Example:

    >>> from glomo_keras.data import Examples
    >>> rows = [np.ones(n, "int32") for n in (3, 1, 2)]
    >>> examples = Examples({"": rows}, {"word_ids": np.arange(9)})
    >>> batches = EvaluationBatches(examples, batch_size=2)
    >>> batches.order
    array([1, 2, 0])
    >>> batches.restore(np.array([10, 20, 30]))
    array([30, 10, 20])
    """

    def __init__(self, examples, batch_size):
        check_positive(batch_size=batch_size)
        self.examples = examples
        self.order = np.argsort(examples.lengths, kind="stable")
        self._size = batch_size
        uneven = len(examples) % batch_size
        self.batch_size = None if uneven else batch_size

    def __len__(self):
        return -(-len(self.order) // self._size)

    def __iter__(self):
        return (self.batch(step) for step in range(len(self)))

    def batch(self, step):
        """Returns a batch: `(inputs, targets)`, see `Examples.take`.

        Args:
            step: int, below `len(self)`.

        Raises:
            IndexError: If there is no such batch.
        """
        if not 0 <= step < len(self):
            raise IndexError(
                f"There are {len(self)} batches. Received: step={step}"
            )
        start = step * self._size
        return self.examples.take(self.order[start : start + self._size])

    def restore(self, outputs):
        """Puts the outputs of all batches in the order of the examples.

        Args:
            outputs: array `(N, ...)`.

        Returns:
            Array of the same shape.
        """
        restored = np.empty_like(outputs)
        restored[self.order] = outputs
        return restored
