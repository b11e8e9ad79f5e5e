"""Batches as a stream: a plain generator, or `tf.data`."""

import itertools

import numpy as np


def iterate_windows(windows, start_step=0, num_steps=None):
    """Yield batches of numpy arrays, without TensorFlow.

    Args:
        windows: as `as_dataset` takes them.
        start_step: int, the first step: a resumed run goes on there.
        num_steps: int or None: to the end, if there is one.

    Yields:
        What `windows.batch` gives.
    """
    for step in _steps(windows, start_step, num_steps):
        yield windows.batch(step)


def as_dataset(windows, start_step=0, num_steps=None):
    """Return batches as a prefetched `tf.data.Dataset`.

    The position is no hidden state: a dataset built with `start_step=n`
    begins with the batch that another one gives after n steps.

    Args:
        windows: a `WindowSampler` or `BucketedBatches` (endless), or
            `EvaluationWindows` or `EvaluationBatches` (finite).
        start_step: int, the first step.
        num_steps: int or None: to the end, if there is one.

    Returns:
        `tf.data.Dataset` of what `windows.batch` gives: a dict of inputs
        (`token_ids` int32 (B, T), `padding_mask` bool (B, T)), or these and
        targets. B is static where all batches have one size, T is dynamic
        unless `windows.one_length` is true.

    Example:

    ```python
    dataset = as_dataset(sampler, start_step=1000)
    model.fit(dataset, steps_per_epoch=sampler.steps_per_epoch)
    ```
    """
    import tensorflow as tf

    pattern = _without_none(windows.batch(0))
    arrays = [np.asarray(x) for x in tf.nest.flatten(pattern)]
    types = [tf.as_dtype(x.dtype) for x in arrays]
    shapes = [_static_shape(windows, x) for x in arrays]

    def batch(step):
        return tf.nest.flatten(_without_none(windows.batch(int(step))))

    def set_shapes(step):
        # Not `from_generator`: its endless generator cannot be finalised
        # when Python ends.
        tensors = tf.numpy_function(batch, [step], types)
        tensors = map(tf.ensure_shape, tensors, shapes)
        return tf.nest.pack_sequence_as(pattern, list(tensors))

    count = _num_steps(windows, start_step, num_steps)
    if count is None:
        steps = tf.data.Dataset.counter(start_step)
    else:
        steps = tf.data.Dataset.range(start_step, start_step + count)
    # A batch takes a tenth of a millisecond: nothing to tune, and the thread
    # that tunes keeps the end of a training waiting for up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    return steps.map(set_shapes).prefetch(2).with_options(options)


def _without_none(batch):
    """`(inputs, None)` as `(inputs,)`: a dataset holds no None."""
    return batch[:1] if isinstance(batch, tuple) and batch[1] is None else batch


def _static_shape(windows, array):
    """`(B, T, ...)` with a dynamic T, and B as it is known."""
    if getattr(windows, "one_length", False):
        return [windows.batch_size, *array.shape[1:]]
    return [windows.batch_size, *[None] * (array.ndim > 1), *array.shape[2:]]


def _steps(windows, start_step, num_steps):
    count = _num_steps(windows, start_step, num_steps)
    if count is None:
        return itertools.count(start_step)
    return range(start_step, start_step + count)


def _num_steps(windows, start_step, num_steps):
    """Return how many steps there are, None if endless."""
    if not hasattr(windows, "__len__"):
        return num_steps
    left = max(len(windows) - start_step, 0)
    return left if num_steps is None else min(left, num_steps)
