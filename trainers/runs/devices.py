"""On what a run computes: `make_strategy`, `processes`, `is_chief`, `workers`, `check_batch`.

One process runs on all of its GPUs, or on the CPU. Several processes, on one host or on many, run together where the
environment variable TF_CONFIG names them all, as TensorFlow documents it.
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
    """Mirrored over all visible GPUs, or the one CPU where there are none; over all processes where TF_CONFIG names them.

    It has to be made before anything is computed. GPUs give memory as it is needed, instead of all at the start.

    Raises:
        UserError: where TF_CONFIG cannot be used, or the processes that it names do not come together.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        _tune_cpu()
    if not os.environ.get("TF_CONFIG"):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")[:1]
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    cluster.meet(*_named_processes())
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # TensorFlow has put a handler before ours that ends nothing.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy


def _named_processes() -> tuple[list[str], int]:
    """The addresses in TF_CONFIG, and which of them is this process's."""
    try:
        settings = json.loads(os.environ["TF_CONFIG"])
        hosts, task = [str(host) for host in settings["cluster"]["worker"]], settings["task"]
        check(settings["cluster"].keys() == {"worker"} and task["type"] == "worker", "all processes are workers")
        check(0 <= task["index"] < len(hosts), f"there is no worker {task['index']}")
        check(all(host.rpartition(":")[2].isdecimal() for host in hosts), "each worker needs a port")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'TF_CONFIG is not usable ({error}); it must be like {{"cluster": {{"worker": ["host1:2222", "host2:2222"]}}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error
    return hosts, task["index"]


def _tune_cpu() -> None:
    """Takes less of the time of a step on CPUs; docs/performance.md has the figures. What is set already stays."""
    with contextlib.suppress(RuntimeError):  # TensorFlow has started
        if not (tf.config.threading.get_intra_op_parallelism_threads() or "TF_NUM_INTRAOP_THREADS" in os.environ):
            # G, D and Q are worked on side by side, so that an operation does best with half of the cores.
            tf.config.threading.set_intra_op_parallelism_threads(max(1, cpu_count() // 2))
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        # Large tensors come from the heap, which keeps their pages, not from fresh pages of the system each time.
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            mallopt(parameter, 2**31 - 1)


def processes(strategy: tf.distribute.Strategy) -> tuple[list[str], int]:
    """The addresses of the processes that run together, and which of them this is; one that runs alone has none."""
    resolver = strategy.cluster_resolver
    spec = resolver and resolver.cluster_spec()
    return (spec.job_tasks("worker"), resolver.task_id) if spec and "worker" in spec.jobs else ([], 0)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    return processes(strategy)[1] == 0


def workers(strategy: tf.distribute.Strategy) -> int:
    """The number of processes that run together."""
    return len(processes(strategy)[0]) or 1


def check_batch(strategy: tf.distribute.Strategy, settings: TrainConfig) -> None:
    """Raises UserError where the global batch cannot be shared out evenly among the replicas and their parts."""
    replicas, batch_size, parts = strategy.num_replicas_in_sync, settings.batch_size, settings.accumulate
    if batch_size % (replicas * parts):
        raise UserError(
            f"--batch_size={batch_size} is the global batch, over all devices; it must be a multiple of {replicas * parts}, "
            f"for {replicas} devices and --accumulate={parts}"
        )
