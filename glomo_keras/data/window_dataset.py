"""Windows as a stream of batches: a plain generator, or `tf.data`."""

import itertools


def iterate_windows(windows, start_step=0, num_steps=None):
    """Yield batches of numpy arrays, without TensorFlow.

    Args:
        windows: a `WindowSampler` (endless) or `EvaluationWindows` (finite).
        start_step: int, the first step: a resumed run goes on there.
        num_steps: int or None: to the end, if there is one.

    Yields:
        Dict of `token_ids` int32 (B, T) and `padding_mask` bool (B, T).
    """
    for step in _steps(windows, start_step, num_steps):
        yield windows.batch(step)


def as_dataset(windows, start_step=0, num_steps=None):
    """Return batches as a prefetched `tf.data.Dataset`.

    The position is no hidden state: a dataset built with `start_step=n`
    begins with the batch that another one gives after n steps.

    Args:
        windows: a `WindowSampler` (endless) or `EvaluationWindows` (finite).
        start_step: int, the first step.
        num_steps: int or None: to the end, if there is one.

    Returns:
        `tf.data.Dataset` of dicts: `token_ids` int32 (B, T) and
        `padding_mask` bool (B, T), with B static and T dynamic.

    Example:

    ```python
    dataset = as_dataset(sampler, start_step=1000)
    model.fit(dataset, steps_per_epoch=sampler.steps_per_epoch)
    ```
    """
    import tensorflow as tf

    def batch(step):
        batch = windows.batch(int(step))
        return batch["token_ids"], batch["padding_mask"]

    def set_shapes(step):
        # Not `from_generator`: its endless generator cannot be finalised
        # when Python ends.
        ids, mask = tf.numpy_function(batch, [step], (tf.int32, tf.bool))
        shape = [windows.batch_size, None]
        return {
            "token_ids": tf.ensure_shape(ids, shape),
            "padding_mask": tf.ensure_shape(mask, shape),
        }

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
