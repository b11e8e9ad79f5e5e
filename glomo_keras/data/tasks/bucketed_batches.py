"""Training batches of examples of similar length."""

import numpy as np

POOL_BATCHES = 50  # how many batches are sorted together


class BucketedBatches:
    """Gives endless batches, each a pure function of `(seed, step)`.

    An epoch puts the examples in a new order, sorts those of every 50 batches
    by length, cuts batches and puts these in a new order: little is padded,
    and batches of all lengths mix. The last `len(examples) % batch_size`
    examples of an epoch's order are left out of it. Nothing is stored but the
    plan of the current epoch.

    Args:
        examples: `Examples`.
        batch_size: int, B. All examples are one batch where they are fewer.
        seed: int, not negative. Defaults to 0.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> from glomo_keras.data import Examples
    >>> rows = [np.ones(n, "int32") for n in range(1, 9)]
    >>> examples = Examples({"": rows}, {"word_ids": np.arange(9)})
    >>> batches = BucketedBatches(examples, batch_size=2)
    >>> batches.steps_per_epoch
    4
    >>> inputs, targets = batches.batch(0)
    >>> inputs["word_ids"].shape[0]
    2
    """

    def __init__(self, examples, batch_size, seed=0):
        if batch_size < 1 or seed < 0:
            raise ValueError(
                "`batch_size` is at least 1, `seed` 0. Received: "
                f"batch_size={batch_size}, seed={seed}"
            )
        self.examples = examples
        self.batch_size = min(batch_size, len(examples))
        self.seed = seed
        self.steps_per_epoch = len(examples) // self.batch_size
        self._current = (None, None)

    def batch(self, step):
        """Returns the batch of a step, counted over all epochs.

        Args:
            step: int.

        Returns:
            `(inputs, targets)`, see `Examples.take`.

        Raises:
            ValueError: If `step` is negative.
        """
        if step < 0:
            raise ValueError(f"Steps start at 0. Received: step={step}")
        epoch, index = divmod(step, self.steps_per_epoch)
        return self.examples.take(self.epoch_plan(epoch)[index])

    def epoch_plan(self, epoch):
        """Returns the examples of each batch, `(steps_per_epoch, B)`."""
        current, plan = self._current
        if current != epoch:
            plan = self._make_plan(epoch)
            self._current = (epoch, plan)
        return plan

    def _make_plan(self, epoch):
        rng = np.random.default_rng((self.seed, epoch))
        size = self.batch_size
        order = rng.permutation(len(self.examples))
        order = order[: self.steps_per_epoch * size]
        lengths = self.examples.lengths
        pools = [
            pool[np.argsort(lengths[pool], kind="stable")]
            for pool in np.split(
                order, range(0, len(order), POOL_BATCHES * size)[1:]
            )
        ]
        plan = np.concatenate(pools).reshape(-1, size)
        return plan[rng.permutation(len(plan))]
