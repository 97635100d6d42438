"""Devices and processes of a run. Public names: make_strategy, processes, is_chief, workers, check_batch.

A process uses all of its GPUs, or the CPU. Several processes, on one or several hosts, train together if the environment
variable TF_CONFIG lists them, as documented by TensorFlow.
"""

import contextlib
import ctypes
import json
import os
import signal

import tensorflow as tf

from emogan.command import cpu_count
from emogan.config import TrainConfig
from emogan.errors import UserError, check
from trainers.runs import cluster


def make_strategy() -> tf.distribute.Strategy:
    """Returns a strategy for all visible GPUs, or the CPU if there are none; for all processes if TF_CONFIG lists them.

    Must be called before any computation. GPU memory is allocated on demand.

    Raises:
        UserError: if TF_CONFIG is invalid, or a process that it lists does not join.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        _tune_cpu()
    if not os.environ.get("TF_CONFIG"):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")[:1]
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    cluster.meet(*_tf_config())
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # Reinstalls our handler: TensorFlow's does not end the process.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy


def _tf_config() -> tuple[list[str], int]:
    """The addresses in TF_CONFIG, and the index of this process."""
    try:
        settings = json.loads(os.environ["TF_CONFIG"])
        hosts, task = [str(host) for host in settings["cluster"]["worker"]], settings["task"]
        check(settings["cluster"].keys() == {"worker"} and task["type"] == "worker", "all processes must be workers")
        check(0 <= task["index"] < len(hosts), f"there is no worker {task['index']}")
        check(all(host.rpartition(":")[2].isdecimal() for host in hosts), "each worker needs a port")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'TF_CONFIG is invalid ({error}); it must be like {{"cluster": {{"worker": ["host1:2222", "host2:2222"]}}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error
    return hosts, task["index"]


def _tune_cpu() -> None:
    """Makes steps on CPUs faster, unless configured by the user; docs/performance.md has measurements."""
    with contextlib.suppress(RuntimeError):  # TensorFlow has started
        if not (tf.config.threading.get_intra_op_parallelism_threads() or "TF_NUM_INTRAOP_THREADS" in os.environ):
            # G, D and Q run in parallel, so an operation is fastest with half of the cores.
            tf.config.threading.set_intra_op_parallelism_threads(max(1, cpu_count() // 2))
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        # Allocates large tensors on the heap, which reuses their pages, instead of mapping new pages each time.
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            mallopt(parameter, 2**31 - 1)


def processes(strategy: tf.distribute.Strategy) -> tuple[list[str], int]:
    """The addresses of all processes of the run, and the index of this one; a single process has no address."""
    resolver = strategy.cluster_resolver
    spec = resolver and resolver.cluster_spec()
    return (spec.job_tasks("worker"), resolver.task_id) if spec and "worker" in spec.jobs else ([], 0)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files."""
    return processes(strategy)[1] == 0


def workers(strategy: tf.distribute.Strategy) -> int:
    """Number of processes of the run."""
    return len(processes(strategy)[0]) or 1


def check_batch(strategy: tf.distribute.Strategy, settings: TrainConfig) -> None:
    """Raises UserError if the global batch cannot be split evenly over the replicas and their parts."""
    replicas, batch_size, parts = strategy.num_replicas_in_sync, settings.batch_size, settings.accumulate
    if batch_size % (replicas * parts):
        raise UserError(
            f"--batch_size={batch_size}: the global batch size must be a multiple of {replicas * parts}, for {replicas} "
            f"devices and --accumulate={parts}"
        )
