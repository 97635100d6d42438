import numpy as np
import pytest
import tensorflow as tf

from emogan.layers import (
    Enlarge,
    EnlargedConv2D,
    GroupNorm,
    Modulate,
    PixelNorm,
    ProductConv2D,
    ProductConv2DTranspose,
    Repeat,
    SpectralConv2D,
    Standardise,
    group_norm,
)  # fmt: skip


@pytest.mark.parametrize(("axis", "shape"), [(1, (5, 4, 3, 1)), (-1, (5, 4, 4, 3))])
def test_standardised_data_have_mean_0_and_deviation_1_along_the_axis(rng, axis, shape):
    data = rng.normal(3.0, np.arange(1, shape[axis] + 1).reshape([-1 if i == axis % 4 else 1 for i in range(4)]), shape)
    layer = Standardise(axis)
    layer(tf.zeros(shape))
    layer.set_statistics([data[:2], data[2:]])
    out = layer(tf.constant(data, tf.float32)).numpy()
    others = tuple(i for i in range(4) if i != axis % 4)
    np.testing.assert_allclose(out.mean(others), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(others), 1, atol=1e-5)


def test_a_constant_row_is_not_amplified():
    layer = Standardise(1)
    layer(tf.zeros((1, 2, 2, 1)))
    layer.set_statistics([np.full((3, 2, 2, 1), -1.0)])
    np.testing.assert_array_equal(layer(tf.fill((1, 2, 2, 1), -1.0)), 0)
    assert layer.deviation.numpy().min() == pytest.approx(1e-3)


def test_statistics_are_not_trained_and_survive_a_saved_model(tmp_path, rng):
    inputs = tf.keras.Input((4, 4, 1))
    model = tf.keras.Model(inputs, Standardise(1, name="standardise")(inputs))
    model.get_layer("standardise").set_statistics([rng.normal(2, 3, (8, 4, 4, 1))])
    model.save(tmp_path / "m", save_format="tf")
    loaded = tf.keras.models.load_model(tmp_path / "m", compile=False)
    x = tf.constant(rng.normal(size=(2, 4, 4, 1)), tf.float32)
    assert loaded.trainable_variables == []
    np.testing.assert_array_equal(loaded(x), model(x))
    assert Standardise.from_config(Standardise(-1, name="s").get_config()).axis == -1


def test_group_norm_by_hand():
    inputs = tf.keras.Input((1, 1, 8))
    model = tf.keras.Model(inputs, group_norm(inputs))  # 8 channels: 2 groups of 4
    x = np.array([1, 2, 3, 4, 10, 10, 10, 14], np.float32).reshape(1, 1, 1, 8)
    first = (np.array([1, 2, 3, 4]) - 2.5) / np.sqrt(1.25 + 1e-3)
    second = (np.array([10, 10, 10, 14]) - 11) / np.sqrt(3 + 1e-3)
    np.testing.assert_allclose(model(x).numpy().ravel(), np.concatenate([first, second]), rtol=1e-4)


@pytest.mark.parametrize(("shape", "groups"), [((3, 5, 4, 8), 2), ((2, 1, 1, 32), 8), ((1, 16, 16, 64), 16)])
def test_group_norm_and_its_gradients_are_those_of_keras(rng, shape, groups):
    x, weights = (tf.constant(rng.normal(1, 2, shape), tf.float32) for _ in range(2))
    results = []
    for kind in (GroupNorm, tf.keras.layers.GroupNormalization):
        layer = kind(groups=groups)
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 2, shape[-1]))
        layer.beta.assign(np.linspace(-1, 1, shape[-1]))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                made = layer(x)
                loss = tf.reduce_sum(made * weights)
            slope = tape.gradient(loss, x)
            steepness = tf.reduce_sum(slope**2)  # as in a gradient penalty
        results.append([made, slope, *outer.gradient(steepness, [x, layer.gamma])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("side", [2, 4, 6, 8])
@pytest.mark.parametrize("up", [False, True])
def test_products_and_their_gradients_are_keras_convolutions(rng, side, up):
    x = tf.constant(rng.normal(size=(3, side, side, 5)), tf.float32)
    weights = tf.constant(
        rng.normal(size=(3, 2 * side, 2 * side, 7) if up else (3, side // 2, side // 2, 7)), tf.float32
    )
    kernel = rng.normal(size=(4, 4, 7, 5) if up else (4, 4, 5, 7))
    kinds = (ProductConv2DTranspose, tf.keras.layers.Conv2DTranspose) if up else (ProductConv2D, tf.keras.layers.Conv2D)
    results = []
    for kind in kinds:
        layer = kind(7, 4, strides=2, padding="same", use_bias=not up, bias_initializer="ones")
        layer.build(x.shape)
        layer.kernel.assign(kernel)
        with tf.GradientTape() as tape:
            tape.watch(x)
            made = layer(x)
            loss = tf.reduce_sum(made**2 * weights)
        results.append([made, *tape.gradient(loss, [x, layer.kernel])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("side", [4, 5, 16])
def test_an_enlarged_convolution_and_its_gradients_are_those_of_the_enlarged_map(rng, side):
    x = tf.constant(rng.normal(size=(3, side, side, 5)), tf.float32)
    weights = tf.constant(rng.normal(size=(3, 2 * side, 2 * side, 7)), tf.float32)
    kernel, bias = rng.normal(size=(3, 3, 5, 7)), rng.normal(size=7)
    results = []
    for enlarge, kind in ((lambda x: x, EnlargedConv2D), (Enlarge(), tf.keras.layers.Conv2D)):
        layer = kind(7, 3, padding="same")
        layer(enlarge(tf.zeros(x.shape)))
        layer.set_weights([kernel, bias])
        with tf.GradientTape() as tape:
            tape.watch(x)
            made = layer(enlarge(x))
            loss = tf.reduce_sum(made**2 * weights)
        results.append([made, *tape.gradient(loss, [x, layer.kernel, layer.bias])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_a_batch_is_repeated_as_a_whole():
    x = tf.constant([[1.0], [2.0]])
    np.testing.assert_array_equal(Repeat()([x, tf.zeros([6, 3])])[:, 0], [1, 2, 1, 2, 1, 2])
    np.testing.assert_array_equal(Repeat()([x, tf.zeros([2, 3])]), x)


def spectral(kernel, updates):
    """A SpectralConv2D with the given kernel [height, width, channels, filters], after some updates."""
    layer = SpectralConv2D(kernel.shape[-1], kernel.shape[:2], use_bias=False)
    layer(tf.zeros((1, *kernel.shape[:3])))
    layer.kernel.assign(kernel)
    for _ in range(updates):
        layer.update_singular_vector()
    return layer


def test_spectral_convolution_divides_by_the_largest_singular_value(rng):
    kernel = rng.normal(size=(3, 3, 4, 8)).astype("f")
    largest = np.linalg.svd(kernel.reshape(-1, 8), compute_uv=False)[0]
    x = rng.normal(size=(2, 5, 5, 4)).astype("f")
    expected = tf.nn.conv2d(x, kernel / largest, 1, "VALID")
    layer = spectral(kernel, 60)
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)
    np.testing.assert_array_equal(layer.kernel, kernel)  # the kernel is not changed
    before = layer.singular_vector.numpy()
    layer(x, training=True)
    np.testing.assert_array_equal(layer.singular_vector, before)  # changes only by an update


def test_the_power_iteration_has_no_gradient(rng):
    """The kernel's gradient is that of W / (v W u) with constant v and u."""
    kernel, x = rng.normal(size=(1, 1, 3, 3)).astype("f"), rng.normal(size=(1, 1, 1, 3)).astype("f")
    layer = spectral(kernel, 60)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    u, v = (np.asarray(part).ravel() for part in layer._iterate())
    w = kernel.reshape(3, 3)
    largest = v @ w @ u
    expected = np.outer(x.ravel(), np.ones(3)) / largest - (x.ravel() @ w).sum() / largest**2 * np.outer(v, u)
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel).numpy().reshape(3, 3), expected, rtol=1e-4)


def test_spectral_convolution_trains_in_fit_on_two_replicas_and_survives_a_saved_model(rng, tmp_path):
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    with tf.distribute.MirroredStrategy(cpus, tf.distribute.ReductionToOneDevice()).scope():
        inputs = tf.keras.Input((4, 4, 2))
        model = tf.keras.Model(inputs, SpectralConv2D(3, 2)(inputs))
        model.compile("sgd", "mse")
    x, y = rng.normal(size=(4, 4, 4, 2)).astype("f"), np.zeros((4, 3, 3, 3), "f")
    before = model.layers[-1].kernel.numpy()
    model.fit(x, y, batch_size=4, verbose=0)
    assert np.abs(model.layers[-1].kernel.numpy() - before).max() > 1e-3
    model.save(tmp_path / "m", save_format="tf")
    loaded = tf.keras.models.load_model(tmp_path / "m", compile=False)
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


def test_pixel_norm_and_modulation_by_hand():
    x = np.array([3.0, 4.0], np.float32).reshape(1, 1, 1, 2)
    normed = PixelNorm()(x)
    np.testing.assert_allclose(normed.numpy().ravel(), np.array([3, 4]) / np.sqrt(12.5), rtol=1e-6)
    made = Modulate()([tf.constant(x), tf.constant([[1.0, 0.0, 10.0, 20.0]])])
    np.testing.assert_allclose(made.numpy().ravel(), [3 * 2 + 10, 4 + 20])
