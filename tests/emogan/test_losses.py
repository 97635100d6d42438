import math

import numpy as np
import pytest
import tensorflow as tf

from emogan import losses
from emogan.config import LossConfig


def softplus(x):
    return math.log(1 + math.exp(x))


REAL = tf.constant([[[[2.0]], [[0.0]]], [[[-1.0]], [[3.0]]]])  # logits of two examples, two regions each
GENERATED = tf.constant([[[[1.0]], [[-2.0]]], [[[0.5]], [[0.0]]]])


def test_discriminator_pays_minus_log_d_of_real_and_of_one_minus_d_of_generated():
    d_loss, _ = losses.adversarial_losses(REAL, GENERATED, LossConfig())
    first = (softplus(-2) + softplus(0)) / 2 + (softplus(1) + softplus(-2)) / 2  # -log sigmoid(x) = softplus(-x)
    second = (softplus(1) + softplus(-3)) / 2 + (softplus(0.5) + softplus(0)) / 2
    np.testing.assert_allclose(d_loss, [first, second], rtol=1e-6)


def test_non_saturating_generator_pays_minus_log_d_of_generated():
    _, g_loss = losses.adversarial_losses(REAL, GENERATED, LossConfig())
    np.testing.assert_allclose(
        g_loss, [(softplus(-1) + softplus(2)) / 2, (softplus(-0.5) + softplus(0)) / 2], rtol=1e-6
    )


def test_minimax_generator_pays_log_of_one_minus_d_of_generated_up_to_the_constant():
    _, g_loss = losses.adversarial_losses(REAL, GENERATED, LossConfig(adversarial="minimax"))
    expected = np.array([-(softplus(1) + softplus(-2)) / 2, -(softplus(0.5) + softplus(0)) / 2])
    np.testing.assert_allclose(g_loss, expected - softplus(-1), rtol=1e-6)


def test_minimax_and_non_saturating_have_opposite_strength_where_d_is_sure():
    logits = tf.constant([[-4.0], [4.0]])  # D is sure the first is generated: minimax hardly moves it
    gradients = {}
    for form in ("minimax", "non_saturating"):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            _, g_loss = losses.adversarial_losses(logits, logits, LossConfig(adversarial=form))
        gradients[form] = tape.gradient(g_loss, logits).numpy().ravel()
    sigmoid = 1 / (1 + np.exp(4))
    np.testing.assert_allclose(gradients["minimax"], [-sigmoid, -(1 - sigmoid)], rtol=1e-5)
    np.testing.assert_allclose(gradients["non_saturating"], [-(1 - sigmoid), -sigmoid], rtol=1e-5)


def test_l1_is_the_mean_over_an_examples_pixels():
    target = tf.constant([[[[1.0], [0.0]]], [[[-1.0], [0.5]]]])
    generated = tf.constant([[[[0.5], [0.0]]], [[[1.0], [0.0]]]])
    np.testing.assert_allclose(losses.l1_loss(target, generated), [0.25, 1.25])


@pytest.mark.parametrize("condition", [[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
def test_classification_is_cross_entropy_with_probabilities(condition):
    logits = np.array([1.0, 2.0, 0.5])
    log_p = logits - math.log(np.exp(logits).sum())
    loss = losses.classification_loss(tf.constant([condition]), tf.constant([logits], tf.float32))
    np.testing.assert_allclose(loss, [-np.dot(condition, log_p)], rtol=1e-6)
