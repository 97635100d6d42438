"""A training step gives the same on replicas, with accumulation, with XLA, and approximately in half precision."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from small_gans import EVERYTHING, MODULATED, SMALL, endless, largest_difference, make_gan, moved, weights
from tensorflow.python.distribute import mirrored_run, mirrored_strategy

from emogan.config import GENERATORS, LossConfig


@pytest.mark.parametrize(
    ("model", "loss", "reduction"),
    [(SMALL, LossConfig(), None), (*EVERYTHING[1], tf.distribute.ReductionToOneDevice())],
    ids=GENERATORS,
)
def test_two_replicas_equal_one(batch, model, loss, reduction):
    """TensorFlow's default reduction confuses two models of different shapes in one process, so that one has another."""
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(cpus) == 2
    results = []
    for devices in (cpus[:1], cpus):
        with tf.distribute.MirroredStrategy(devices, reduction).scope():
            gan = make_gan(rate=2e-4, eager=False, model=model, loss=loss, g_ema=0.9)
        logs = gan.fit(endless(batch), steps_per_epoch=5, verbose=0).history
        results.append((weights(gan), logs))
    (one, one_logs), (two, two_logs) = results
    assert moved(weights(make_gan(model=model)), one) == set("gdq")
    for player in "gdq":
        difference = max(np.abs(a - b).max() for a, b in zip(one[player], two[player], strict=True))
        assert difference < 1e-5, (player, difference)
    for name in one_logs:
        assert two_logs[name][0] == pytest.approx(one_logs[name][0], rel=1e-4, abs=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (SMALL, LossConfig()),
        (MODULATED, LossConfig(lambda_code=5.0, lambda_mismatch=0.5, r1_gamma=0.2, r1_interval=2)),
    ],
    ids=GENERATORS,
)
def test_a_step_compiled_by_xla_is_the_same_step(batch, model, loss):
    """Except for random numbers: XLA draws others from the same key."""
    plain, compiled = (
        make_gan(rate=2e-4, eager=False, xla=xla, model=model, loss=loss, g_ema=0.9) for xla in (False, True)
    )
    logs = [gan.fit(endless(batch), steps_per_epoch=2, verbose=0).history for gan in (plain, compiled)]
    for name, values in logs[0].items():
        assert logs[1][name] == pytest.approx(values, rel=1e-4), name
    for player, expected in weights(plain).items():
        for one, other in zip(weights(compiled)[player], expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"], indirect=True)
@pytest.mark.parametrize(("model", "loss"), EVERYTHING, ids=GENERATORS)
def test_xla_can_trace_the_step_for_several_gpus(batch, precision, model, loss, monkeypatch):
    """With XLA on GPUs, but not on CPUs, TensorFlow rejects all joint operations of replicas except sums."""
    monkeypatch.setattr(mirrored_strategy, "_is_gpu_device", lambda device: True)
    monkeypatch.setattr(mirrored_run, "_is_gpu_device", lambda device: True)
    with tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")]).scope():
        gan = make_gan(eager=False, xla=True, precision=precision, model=model, loss=loss, g_ema=0.9)
    batches = iter(gan.distribute_strategy.experimental_distribute_dataset(endless(batch)))
    assert gan.make_train_function().get_concrete_function(batches).graph


@pytest.mark.parametrize(("model", "loss"), EVERYTHING)
def test_accumulated_parts_equal_the_whole_batch(batch, model, loss):
    model = dataclasses.replace(model, spectral_norm=True)
    results = []
    for accumulate in (1, 2):
        gan = make_gan(rate=2e-4, model=model, loss=loss, g_ema=0.9, accumulate=accumulate)
        logs = gan.fit(endless(batch), steps_per_epoch=5, verbose=0).history
        results.append(({**weights(gan), "q": gan.averaged_generator.get_weights()}, logs))
    (whole, whole_logs), (parts, parts_logs) = results
    assert largest_difference(whole, parts) < 1e-5
    for name in whole_logs:
        assert parts_logs[name][0] == pytest.approx(whole_logs[name][0], rel=1e-4, abs=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize(("model", "loss"), EVERYTHING)
def test_options_agree_on_two_replicas_and_with_accumulation(batch, model, loss, spectral):
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    model = dataclasses.replace(model, spectral_norm=spectral)
    results = []
    for devices, accumulate in ((cpus[:1], 1), (cpus, 2)):
        with tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice()).scope():
            gan = make_gan(rate=2e-4, eager=False, accumulate=accumulate, g_ema=0.9, loss=loss, model=model)
        gan.fit(endless(batch), steps_per_epoch=5, verbose=0)
        results.append((weights(gan), {**weights(gan), "q": gan.averaged_generator.get_weights()}))
    (one, one_mean), (two, two_mean) = results
    assert largest_difference(one, two) < 1e-5
    assert largest_difference(one_mean, two_mean) < 1e-5


@pytest.fixture
def precision(request):
    tf.keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(("model", "loss"), EVERYTHING)
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"], indirect=True)
def test_half_precision_trains_float32_weights_of_all_networks(batch, precision, model, loss):
    model = dataclasses.replace(model, spectral_norm=True)
    gan = make_gan(eager=False, precision=precision, model=model, loss=loss, g_ema=0.9, accumulate=2)
    before = weights(gan)
    logs = gan.fit(endless(batch), steps_per_epoch=6, verbose=0).history
    after = weights(gan)
    assert {values.dtype for player in after.values() for values in player} == {np.dtype("float32")}
    assert moved(before, after) == set("gdq")
    assert np.isfinite([values[-1] for values in logs.values()]).all()
    assert gan.generator.compute_dtype != "float32"
    for network in (gan.generator, gan.discriminator, gan.classifier):
        assert network.output.dtype == tf.float32


@pytest.mark.parametrize("precision", ["mixed_float16"], indirect=True)
def test_loss_scaling_skips_a_step_whose_gradients_overflow(batch, precision):
    gan = make_gan(precision=precision)
    assert gan.g_optimizer.loss_scale == 2**15
    before = weights(gan)
    batch["target"][:] = np.inf
    gan.fit(endless(batch), steps_per_epoch=1, verbose=0)
    assert moved(before, weights(gan)) == set()
    assert float(gan.g_optimizer.loss_scale) < 2**15
