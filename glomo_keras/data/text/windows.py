"""Training windows: batches of varying length cut from a stream of texts."""

import dataclasses

import numpy as np

from glomo_keras.data.text.token_stream import JoinedTexts

MIN_ROW_WORDS = 8


@dataclasses.dataclass(frozen=True)
class EpochPlan:
    """Holds the random choices of one epoch.

    Args:
        texts: `JoinedTexts`, the texts in this epoch's order.
        offsets: (steps,) int64, where each batch starts within a row.
        lengths: (steps,) int64, the words of each batch.
    """

    texts: JoinedTexts
    offsets: np.ndarray
    lengths: np.ndarray


class WindowSampler:
    """Samples batches of windows, each a pure function of `(seed, step)`.

    An epoch puts the texts in a new order, joins them into one long text and
    cuts it into `batch_size` equal rows; each row of a batch walks along its
    own row. All windows of a batch have one length,
    `int(max_length * 1.4**u)` with `u` uniform in [-2, 0], and the next batch
    starts about `max_length / 2` words (give or take `max_length / 20`)
    further on, so windows overlap by about a third. The last window of a row
    has the full length and ends with the row; the steps of the epoch are
    scaled, by very little, to arrive there. So `steps_per_epoch` is exact and
    the same in each epoch.

    The authors' code draws the same lengths and steps, but lets a row walk
    one text after the other: it skips texts shorter than a window and drops
    the end of each text. Here texts are joined, and nearly all words are
    used: not the last `num_words % batch_size`, nor the few in between where a
    short window is followed by a long step.

    A corpus too small for full windows gives shorter ones. Nothing is stored
    but the plan of the current epoch (24 bytes per text).

    With `few_lengths` each window gets the nearest of three lengths,
    `max_length`, three quarters and half of it: XLA compiles a training step
    for each length. Where a window starts stays as it was.

    Args:
        stream: A `TokenStream`.
        batch_size: int.
        max_length: int, the longest window. Defaults to 200.
        seed: int, not negative. Defaults to 0.
        few_lengths: Whether windows have three lengths only. Defaults to
            False.

    Raises:
        ValueError: If an argument is out of range, or the stream has fewer
            than 8 words a row.

    Example:

    >>> from glomo_keras.data import TokenStream
    >>> ids = np.arange(2, 1002, dtype="int32")
    >>> stream = TokenStream(ids, np.array([0, 400]), np.array([400, 600]))
    >>> sampler = WindowSampler(stream, batch_size=4, max_length=50)
    >>> sampler.steps_per_epoch
    9
    >>> sampler.batch(3)["token_ids"].shape[0]
    4
    """

    def __init__(
        self, stream, batch_size, max_length=200, seed=0, few_lengths=False
    ):
        _check_arguments(stream, batch_size, max_length, seed)
        self.stream = stream
        self.batch_size = batch_size
        self.max_length = max_length
        self.seed = seed
        self.few_lengths = few_lengths
        self.row_length = stream.num_words // batch_size
        self.longest = min(max_length, self.row_length)
        shift = max_length // 2
        rest = self.row_length - self.longest
        self.steps_per_epoch = 1 - (-rest // shift)
        self._current = (None, None)

    def batch(self, step, rows=slice(None)):
        """Returns the batch of a step, counted over all epochs.

        Args:
            step: int.
            rows: slice, the rows of the batch to read. Defaults to all.

        Returns:
            Dict of `token_ids` int32 (B, T) and `padding_mask` bool (B, T),
            all True.

        Raises:
            ValueError: If `step` is negative.
        """
        if step < 0:
            raise ValueError(f"Steps start at 0. Received: step={step}")
        epoch, index = divmod(step, self.steps_per_epoch)
        plan = self.epoch_plan(epoch)
        starts = (
            np.arange(self.batch_size)[rows] * self.row_length
            + plan.offsets[index]
        )
        columns = np.arange(plan.lengths[index])
        token_ids = plan.texts.take(starts[:, None] + columns)  # (B, T)
        return {
            "token_ids": token_ids,
            "padding_mask": np.ones(token_ids.shape, dtype="bool"),
        }

    def epoch_plan(self, epoch):
        """Returns the `EpochPlan` of an epoch, and keeps the latest one."""
        current, plan = self._current
        if current != epoch:
            plan = self._make_plan(epoch)
            self._current = (epoch, plan)
        return plan

    def _make_plan(self, epoch):
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.stream.num_texts)
        steps = self.steps_per_epoch
        lengths = self.max_length * 1.4 ** rng.uniform(-2, 0, steps)
        lengths = np.minimum(lengths.astype("int64"), self.longest)
        lengths[-1] = self.longest
        if self.few_lengths:
            allowed = np.array([2, 3, 4]) * self.longest // 4
            distances = np.abs(lengths[:, None] - allowed)  # (steps, 3)
            lengths = allowed[distances.argmin(axis=1)]
        return EpochPlan(
            JoinedTexts(self.stream, order), self._offsets(rng), lengths
        )

    def _offsets(self, rng):
        jitter = self.max_length // 20
        shifts = self.max_length // 2 + rng.integers(
            -jitter, jitter, self.steps_per_epoch - 1, endpoint=True
        )
        offsets = np.concatenate([[0], np.cumsum(shifts)])
        if len(shifts):
            last = self.row_length - self.longest
            # `offsets * last` can exceed int64.
            offsets += offsets * (last - offsets[-1]) // offsets[-1]
        return offsets


def _check_arguments(stream, batch_size, max_length, seed):
    if batch_size < 1 or max_length < MIN_ROW_WORDS or seed < 0:
        raise ValueError(
            f"`batch_size` is at least 1, `max_length` {MIN_ROW_WORDS}, "
            f"`seed` 0. Received: batch_size={batch_size}, "
            f"max_length={max_length}, seed={seed}"
        )
    needed = batch_size * MIN_ROW_WORDS
    if stream.num_words < needed:
        raise ValueError(
            f"A batch of {batch_size} rows needs at least {needed} words. "
            "Take a smaller batch_size or more text. "
            f"Received: {stream.num_words} words in {stream.num_texts} texts"
        )
