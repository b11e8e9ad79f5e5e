"""Runs `fit` on batches of which each process has a part."""

import contextlib
import functools

import keras

from glomo_keras.ops.batch_parts import batch_in_parts
from glomo_keras.training.process_job import current_job


@contextlib.contextmanager
def fit_parts(model):
    """Makes `fit` and `evaluate` of a model work on parts of batches.

    In a `Job`, for the length of the block, each step adds up gradients and
    losses of all processes before the optimizer sees them: clipping, metrics
    and updates are those of the whole batch, in every process. Elsewhere
    nothing changes.

    On TensorFlow, Keras 3.15 has no `fit` for `MultiWorkerMirroredStrategy`
    (keras-team/keras#20585), and clips gradients before it adds them. The
    model belongs to no strategy here; only the step runs in one.

    On JAX, Keras leaves it to the compiler to divide a step that is written
    for the whole batch. It would add up each gradient by itself, those of a
    loop at each of its turns. Here every device computes with its part, and
    all gradients are added up at once.

    Args:
        model: `SelfScoringModel`, compiled.
    """
    job = current_job()
    if job.size == 1:
        yield
    elif job.strategy is None:
        step = functools.partial(_in_parts, model.compute_loss_and_updates)
        with _methods(model, compute_loss_and_updates=step):
            yield
    else:
        with (
            _methods(
                model,
                train_step=functools.partial(_train_step, model, job),
                test_step=functools.partial(_test_step, model, job),
            ),
            batch_in_parts(job.index, job.size, _add),
        ):
            yield


@contextlib.contextmanager
def _methods(model, **methods):
    """Replaces methods of a model within a block."""
    for name, method in methods.items():
        setattr(model, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(model, name)


def _in_parts(whole, weights, *state, training=False, **kwargs):
    """Returns what a model's `compute_loss_and_updates` does, from parts.

    Args:
        whole: The model's own `compute_loss_and_updates`.
        weights: List of the trainable weights.
        *state: Its other arguments: the other variables, the metrics', the
            inputs and two that are None.
        training: Boolean.
        **kwargs: `optimizer_variables`.
    """
    import jax

    if not training:
        return whole(weights, *state, training=False, **kwargs)

    @jax.custom_vjp
    def compute(weights, state, kwargs):
        return _gradients_of_all(whole, weights, state, kwargs)[0]

    def forward(weights, state, kwargs):
        return _gradients_of_all(whole, weights, state, kwargs)

    def backward(gradients, cotangents):
        scaled = [cotangents[0] * gradient for gradient in gradients]
        return scaled, None, None

    compute.defvjp(forward, backward)
    return compute(weights, state, kwargs)


def _gradients_of_all(whole, weights, state, kwargs):
    """Returns what `whole` returns, and the gradients, means over all parts."""
    import jax
    from jax.flatten_util import ravel_pytree

    distribution = keras.distribution.distribution()
    axis = distribution.batch_dim_name
    count = distribution.num_model_replicas
    others, metrics, *inputs = state

    def of_part(weights, others, metrics, inputs, kwargs):
        add = functools.partial(jax.lax.psum, axis_name=axis)
        with batch_in_parts(jax.lax.axis_index(axis), count, add):
            (loss, (unscaled, outputs, others, metrics)), gradients = (
                jax.value_and_grad(whole, has_aux=True)(
                    weights, others, metrics, *inputs, training=True, **kwargs
                )
            )
        numbers, unravel = ravel_pytree((loss, unscaled, outputs, gradients))
        loss, unscaled, outputs, gradients = unravel(add(numbers) / count)
        return (loss, (unscaled, outputs, others, metrics)), gradients

    same, divided = jax.P(), jax.P(axis)
    run = jax.shard_map(
        of_part,
        mesh=distribution.device_mesh.backend_mesh,
        in_specs=(same, same, same, divided, same),
        out_specs=same,
        check_vma=False,
    )
    return run(weights, others, metrics, inputs, kwargs)


def _train_step(model, job, data):
    import tensorflow as tf

    def step(inputs, targets, weights):
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = model.compute_loss(
                inputs, targets, outputs, weights, training=True
            )
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_weights)
        return _add_all((_shares(outputs, job), gradients))

    given = keras.utils.unpack_x_y_sample_weight(data)
    outputs, gradients = job.strategy.run(step, given)
    inputs, _, _ = given
    model.optimizer.apply(gradients, model.trainable_weights)
    return model.compute_metrics(inputs, None, outputs)


def _test_step(model, job, data):
    def step(inputs):
        outputs = model(inputs, training=False)
        return _add_all(_shares(outputs, job))

    inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    outputs = job.strategy.run(step, (inputs,))
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
