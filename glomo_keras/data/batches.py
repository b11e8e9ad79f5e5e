"""Turns batches into data sets for `fit`."""

import keras
import numpy as np


def as_dataset(batches, start_step=0, num_steps=None):
    """Returns batches as a data set for the backend in use.

    The data set keeps no position: with `start_step=n` it starts at batch n,
    the batch that another data set gives after n steps.

    Args:
        batches: Object with `batch(step)`: `WindowSampler`,
            `BucketedBatches`, `LabelledBatches` or `CropBatches` (endless), or
            `EvaluationWindows`, `EvaluationBatches`, `EvaluationImages` or
            `EvaluationCrops` (finite, with a length).
        start_step: int, the first step. Defaults to 0.
        num_steps: int, or None for all of them. Defaults to None.

    Returns:
        On TensorFlow a prefetched `tf.data.Dataset`, whose number of rows is
        static where all batches have one, and whose length T is dynamic
        unless `batches.one_length` is true. On other backends
        `PyBatches`.

    Example:

    ```python
    dataset = as_dataset(sampler, start_step=1000)
    model.fit(dataset, steps_per_epoch=sampler.steps_per_epoch)
    ```
    """
    if keras.backend.backend() != "tensorflow":
        return PyBatches(batches, start_step, num_steps)
    return _tf_dataset(batches, start_step, num_steps)


class PyBatches(keras.utils.PyDataset):
    """Gives batches to `fit` on backends other than TensorFlow.

    A batch takes a fraction of a millisecond to cut, so no worker is needed.

    Args:
        batches, start_step, num_steps: See `as_dataset`.
    """

    def __init__(self, batches, start_step=0, num_steps=None):
        super().__init__()
        self.batches = batches
        self.start_step = start_step
        self.num_steps = num_steps

    @property
    def num_batches(self):
        return _count(self.batches, self.start_step, self.num_steps)

    def __getitem__(self, index):
        batch = self.batches.batch(self.start_step + index)
        return batch if isinstance(batch, tuple) else (batch,)


class BatchPart:
    """Reads one part of each batch, for one of several processes.

    Args:
        batches: Object with `batch(step, rows)` and `batch_size`.
        index: int, which process this is.
        size: int, how many processes there are; it divides the batch size.

    Raises:
        ValueError: If the batch size cannot be divided.

    Example:

    ```python
    own = BatchPart(sampler, index=0, size=2)  # the first half of each batch
    ```
    """

    def __init__(self, batches, index, size):
        if batches.batch_size % size:
            raise ValueError(
                "The number of processes must divide the batch size. "
                f"Received: size={size}, batch_size={batches.batch_size}"
            )
        self.batches = batches
        self.batch_size = batches.batch_size // size
        first = index * self.batch_size
        self.rows = slice(first, first + self.batch_size)

    def batch(self, step):
        """Returns the rows of this process in the batch of a step."""
        return self.batches.batch(step, self.rows)


def _tf_dataset(batches, start_step, num_steps):
    import tensorflow as tf

    pattern = _without_none(batches.batch(0))
    arrays = [np.asarray(x) for x in tf.nest.flatten(pattern)]
    types = [tf.as_dtype(x.dtype) for x in arrays]
    shapes = [_static_shape(batches, x) for x in arrays]

    def batch(step):
        return tf.nest.flatten(_without_none(batches.batch(int(step))))

    def make(step):
        # Not `from_generator`: its endless generator cannot be finalised
        # when Python ends.
        tensors = tf.numpy_function(batch, [step], types)
        tensors = map(tf.ensure_shape, tensors, shapes)
        return tf.nest.pack_sequence_as(pattern, list(tensors))

    count = _count(batches, start_step, num_steps)
    if count is None:
        steps = tf.data.Dataset.counter(start_step)
    else:
        steps = tf.data.Dataset.range(start_step, start_step + count)
    # A batch takes a tenth of a millisecond: nothing to tune, and the thread
    # that tunes keeps the end of a training waiting for up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    return steps.map(make).prefetch(2).with_options(options)


def _without_none(batch):
    """Makes `(inputs, None)` a tuple of one: a data set holds no None."""
    return batch[:1] if isinstance(batch, tuple) and batch[1] is None else batch


def _static_shape(batches, array):
    """Returns `(B, T, ...)` with a dynamic T, and B as it is known."""
    if getattr(batches, "one_length", False):
        return [batches.batch_size, *array.shape[1:]]
    return [batches.batch_size, *[None] * (array.ndim > 1), *array.shape[2:]]


def _count(batches, start_step, num_steps):
    """Returns how many steps there are, None if they are endless."""
    whole = batches.batches if isinstance(batches, BatchPart) else batches
    if not hasattr(whole, "__len__"):
        return num_steps
    left = max(len(whole) - start_step, 0)
    return left if num_steps is None else min(left, num_steps)
