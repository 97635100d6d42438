import dataclasses
import json

import pytest
import tensorflow as tf

from emogan.errors import UserError
from trainers.runs import devices


def test_without_gpus_training_runs_on_one_cpu_device():
    strategy = devices.make_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert devices.is_chief(strategy)
    assert devices.workers(strategy) == 1


def test_a_batch_that_cannot_be_split_over_the_devices_is_refused(monkeypatch, small):
    two = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: two)
    strategy = devices.make_strategy()
    assert strategy.num_replicas_in_sync == 2
    devices.check_batch(strategy, small.steps)  # 4
    with pytest.raises(UserError, match=r"--batch_size=3: .* multiple of 2, for 2 devices"):
        devices.check_batch(strategy, dataclasses.replace(small.steps, batch_size=3))
    with pytest.raises(UserError, match=r"multiple of 8, .* --accumulate=4"):
        devices.check_batch(strategy, dataclasses.replace(small.steps, accumulate=4))


def cluster_of(workers, task=None, **more):
    return json.dumps({"cluster": {"worker": workers, **more}} | ({"task": task} if task else {}))


TASK = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    "text",
    [
        "host1,host2",
        "{}",
        json.dumps({"cluster": {"ps": ["a:1"]}}),
        "[]",
        cluster_of(["a:1", "b:1"]),
        cluster_of(["a:1", "b:1"], TASK | {"index": 2}),
        cluster_of(["a:1", "b:1"], TASK, chief=["c:1"]),
        cluster_of(["a:1", "b"], TASK),
    ],
)
def test_an_unusable_tf_config_is_refused_with_an_example(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r'TF_CONFIG .* must be like \{"cluster": \{"worker"'):
        devices.make_strategy()
