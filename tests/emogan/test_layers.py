import numpy as np
import pytest
import tensorflow as tf

from emogan.layers import Standardise, group_norm


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


def test_a_constant_row_does_not_blow_up():
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
