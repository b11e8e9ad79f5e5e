"""Windows of few lengths, for compilers."""

import dataclasses

import numpy as np

from glomo_keras.data.text.windows import WindowSampler


class FewLengths(WindowSampler):
    """Windows of three lengths: XLA compiles a training step for each length.

    Each window of a `WindowSampler` gets the nearest of `max_length`, three
    quarters and half of it. A window of any length ends within its row, so
    where it starts stays as it was.

    Args:
        stream, batch_size, max_length, seed: of `WindowSampler`.

    Example:

    >>> from glomo_keras.data.text.token_stream import TokenStream
    >>> stream = TokenStream(
    ...     np.arange(2, 1002, dtype="int32"), np.array([0]), np.array([1000]))
    >>> sampler = FewLengths(stream, batch_size=4, max_length=40)
    >>> sorted({sampler.batch(i)["token_ids"].shape[1] for i in range(12)})
    [20, 30, 40]
    """

    def _make_plan(self, epoch):
        plan = super()._make_plan(epoch)
        allowed = np.array([2, 3, 4]) * self.longest // 4
        distances = np.abs(plan.lengths[:, None] - allowed)  # (steps, 3)
        lengths = allowed[distances.argmin(axis=1)]
        return dataclasses.replace(plan, lengths=lengths)

    def num_words(self, steps):
        """Words in the batches of some steps, an iterable of int."""
        words = 0
        for step in steps:
            epoch, index = divmod(step, self.steps_per_epoch)
            words += int(self.epoch_plan(epoch).lengths[index])
        return words * self.batch_size
