import numpy as np
import pytest
import tensorflow as tf

from emogan.consistency import ConsistentClassifier

SLIGHTLY = np.array([[2.0, 0.0], [0.1, 0.0]], np.float32)  # read as class 0, by 0.88 and 0.52
MUCH = np.array([[0.0, 1.0], [3.0, 0.0]], np.float32)


def make(weight, certainty=0.7):
    """A network whose logits are its input, until it is trained."""
    network = tf.keras.Sequential([tf.keras.layers.Dense(2, kernel_initializer="identity", input_shape=(2,))])
    model = ConsistentClassifier(network, weight, certainty)
    model.compile(
        tf.keras.optimizers.legacy.SGD(1.0), tf.keras.losses.CategoricalCrossentropy(from_logits=True), ["accuracy"]
    )
    return model


def fitted(model):
    batch = (np.array([[1.0, 0.0]], np.float32), np.array([[1.0, 0.0]], np.float32)), (SLIGHTLY, MUCH)
    history = model.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history
    return history, model.network.get_weights()


def test_a_confident_prediction_is_the_pseudo_label():
    (_, (_, without)), (history, (_, bias)) = fitted(make(0.0)), fitted(make(2.0))
    assert history["unlabelled_used"] == [0.5]
    assert history["accuracy"] == [1.0]
    missed = 1 / (1 + np.exp(-1.0))  # of the first image: the probability of the wrong class in [0, 1]
    np.testing.assert_allclose(bias - without, 2.0 * np.array([missed, -missed]) / 2, rtol=1e-5)  # a mean of two


@pytest.mark.parametrize(("certainty", "used"), [(0.0, 1.0), (0.95, 0.0)])
def test_the_minimum_probability_of_a_pseudo_label(certainty, used):
    history, weights = fitted(make(1.0, certainty))
    assert history["unlabelled_used"] == [used]
    plain = fitted(make(0.0))[1]
    assert np.array_equal(weights[1], plain[1]) == (not used)


def test_it_predicts_like_its_network(rng):
    model, images = make(1.0), rng.normal(size=(3, 2)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(images, verbose=0), model.network.predict(images, verbose=0))
