"""`fit` on TensorFlow with batches of which each process has a part."""

import contextlib
import functools

import keras

from glomo_keras.ops.batch_parts import batch_in_parts
from glomo_keras.training.process_job import current_job


@contextlib.contextmanager
def fit_parts(model):
    """Makes `fit` and `evaluate` of a model work on parts of batches.

    In a `Job` on TensorFlow, for the length of the block, each step adds up
    gradients and losses of all processes before the optimizer sees them:
    clipping, metrics and updates are those of the whole batch, in every
    process. Elsewhere nothing changes.

    Keras 3.15 has no `fit` for `MultiWorkerMirroredStrategy`
    (keras-team/keras#20585), and clips gradients before it adds them. The
    model belongs to no strategy here; only the step runs in one.

    Args:
        model: `SelfScoringModel`, compiled.
    """
    job = current_job()
    if job.strategy is None:
        yield
        return
    model.train_step = functools.partial(_train_step, model, job)
    model.test_step = functools.partial(_test_step, model, job)
    try:
        with batch_in_parts(job.index, job.size, _add):
            yield
    finally:
        del model.train_step, model.test_step


def _train_step(model, job, data):
    import tensorflow as tf

    def step(inputs):
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = model.compute_loss(inputs, y_pred=outputs, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_weights)
        return _add_all((loss, _shares(outputs, job), gradients))

    inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    loss, outputs, gradients = job.strategy.run(step, (inputs,))
    model.optimizer.apply(gradients, model.trainable_weights)
    return _updated_metrics(model, inputs, loss, outputs)


def _test_step(model, job, data):
    def step(inputs):
        outputs = model(inputs, training=False)
        loss = model.compute_loss(inputs, y_pred=outputs, training=False)
        return _add_all((loss, _shares(outputs, job)))

    inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    loss, outputs = job.strategy.run(step, (inputs,))
    return _updated_metrics(model, inputs, loss, outputs)


def _updated_metrics(model, inputs, loss, outputs):
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss)
    return model.compute_metrics(inputs, None, outputs)


def _shares(outputs, job):
    """Divides the outputs, so that their sums are means over the parts."""
    return {name: value / job.size for name, value in outputs.items()}


def _add(x):
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def _add_all(tensors):
    """Adds up all tensors of a structure, in one message."""
    import tensorflow as tf

    tensors = tf.nest.map_structure(tf.convert_to_tensor, tensors)
    flat = tf.nest.flatten(tensors)
    numbers = tf.concat([tf.reshape(x, [-1]) for x in flat], axis=0)
    sums = tf.split(_add(numbers), [tf.size(x) for x in flat])
    return tf.nest.pack_sequence_as(
        tensors,
        [tf.reshape(y, tf.shape(x)) for x, y in zip(flat, sums, strict=True)],
    )
