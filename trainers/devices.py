"""On what a run computes: `make_strategy`, `is_chief`, `workers`, `check_batch`.

One process runs on all of its GPUs, or on the CPU. Several processes, on one host or on many, run together where the
environment variable TF_CONFIG names them all, as TensorFlow documents it.
"""

import json
import os

import tensorflow as tf

from emogan.config import TrainConfig
from emogan.errors import UserError


def make_strategy() -> tf.distribute.Strategy:
    """Mirrored over all visible GPUs, or the one CPU where there are none; over all processes where TF_CONFIG names them.

    It has to be made before anything is computed. GPUs give memory as it is needed, instead of all at the start.

    Raises:
        UserError: where TF_CONFIG cannot be used.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if "TF_CONFIG" not in os.environ:
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")[:1]
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    try:
        json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'TF_CONFIG is not usable ({error}); it must be like {{"cluster": {{"worker": ["host1:2222", "host2:2222"]}}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.cluster_spec() or resolver.task_id == 0


def workers(strategy: tf.distribute.Strategy) -> int:
    """The number of processes that run together."""
    resolver = strategy.cluster_resolver
    spec = resolver and resolver.cluster_spec()
    return spec.num_tasks("worker") if spec and "worker" in spec.jobs else 1


def check_batch(strategy: tf.distribute.Strategy, settings: TrainConfig) -> None:
    """Raises UserError where the global batch cannot be shared out evenly among the replicas and their parts."""
    replicas, batch_size, parts = strategy.num_replicas_in_sync, settings.batch_size, settings.accumulate
    if batch_size % (replicas * parts):
        raise UserError(
            f"--batch_size={batch_size} is the global batch, over all devices; it must be a multiple of {replicas * parts}, "
            f"for {replicas} devices and --accumulate={parts}"
        )
