"""Processes that train one model together, each on its part of a batch.

On JAX the processes form one `keras.distribution.DataParallel`, on TensorFlow
one `tf.distribute.MultiWorkerMirroredStrategy`. Each computes with its part of
a batch, and they add up what the parts contribute, see `fit_parts`.
"""

import contextlib
import dataclasses
import json
import zlib

import keras
import numpy as np

LOST_AFTER = 60
"""Seconds without a sign of life after which a process counts as dead."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The processes that train together.

    Args:
        index: Integer, which one this process is.
        size: Integer, how many there are.
        strategy: `tf.distribute.MultiWorkerMirroredStrategy`, or None.
    """

    index: int = 0
    size: int = 1
    strategy: object = None


_current = Job()


def current_job():
    """Returns the `Job` that this process belongs to, of size 1 if to none."""
    return _current


@contextlib.contextmanager
def joined(index, size, addresses):
    """Joins this process with others within a block.

    Nothing may have been computed before.

    Args:
        index: Integer, which of the processes this is.
        size: Integer, how many there are.
        addresses: List of `"host:port"`, see `run_processes`.
    """
    global _current
    if keras.backend.backend() == "jax":
        _current = Job(index, size)
        leave = _join_jax(index, size, addresses)
    else:
        _current = Job(index, size, _tensorflow_strategy(index, addresses))
        leave = None
    try:
        yield
    finally:
        _current = Job()
    if leave is not None:
        leave()


def _join_jax(index, size, addresses):
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        addresses[0],
        num_processes=size,
        process_id=index,
        heartbeat_timeout_seconds=LOST_AFTER,
        shutdown_timeout_seconds=LOST_AFTER,
    )
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    return jax.distributed.shutdown


def _tensorflow_strategy(index, addresses):
    import tensorflow as tf

    cluster = tf.train.ClusterSpec({"worker": addresses})
    return tf.distribute.MultiWorkerMirroredStrategy(
        tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type="worker", task_id=index, rpc_layer="grpc"
        ),
        tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=LOST_AFTER
        ),
    )


def numbers_of_all(number):
    """Returns the integers of all processes, in their order.

    Args:
        number: Integer of this process, 32 bits.
    """
    job = current_job()
    if job.size == 1:
        return [number]
    if job.strategy is None:
        from jax.experimental import multihost_utils

        found = multihost_utils.process_allgather(np.int32([number]))
    else:
        import tensorflow as tf

        found = job.strategy.gather(tf.constant([number], "int32"), axis=0)
    return np.asarray(found).ravel().tolist()


def decided_by_first(decision):
    """Returns what the first process has decided, a boolean."""
    return bool(numbers_of_all(int(decision))[0])


def check_same(facts):
    """Refuses facts that are not the same in all processes.

    Args:
        facts: Dict of what JSON can hold.

    Raises:
        ValueError: If they differ.
    """
    for name, fact in facts.items():
        text = json.dumps(fact, sort_keys=True, default=str)
        numbers = numbers_of_all(zlib.crc32(text.encode()) >> 1)
        if len(set(numbers)) > 1:
            raise ValueError(
                f"All processes must have the same {name}: give them the same "
                "options, text and run folder, on a file system that they "
                f"share. Received: {name}={fact} in process "
                f"{current_job().index}, checksums {numbers}"
            )
