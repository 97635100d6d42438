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


def test_d_loss_is_minus_log_d_of_real_and_of_one_minus_d_of_generated():
    d_loss, _ = losses.adversarial_losses(REAL, GENERATED, LossConfig())
    first = (softplus(-2) + softplus(0)) / 2 + (softplus(1) + softplus(-2)) / 2  # -log sigmoid(x) = softplus(-x)
    second = (softplus(1) + softplus(-3)) / 2 + (softplus(0.5) + softplus(0)) / 2
    np.testing.assert_allclose(d_loss, [first, second], rtol=1e-6)


def test_non_saturating_g_loss_is_minus_log_d_of_generated():
    _, g_loss = losses.adversarial_losses(REAL, GENERATED, LossConfig())
    np.testing.assert_allclose(
        g_loss, [(softplus(-1) + softplus(2)) / 2, (softplus(-0.5) + softplus(0)) / 2], rtol=1e-6
    )


def test_minimax_g_loss_is_log_of_one_minus_d_of_generated_up_to_a_constant():
    _, g_loss = losses.adversarial_losses(REAL, GENERATED, LossConfig(adversarial="minimax"))
    expected = np.array([-(softplus(1) + softplus(-2)) / 2, -(softplus(0.5) + softplus(0)) / 2])
    np.testing.assert_allclose(g_loss, expected - softplus(-1), rtol=1e-6)


def test_minimax_and_non_saturating_have_opposite_gradient_sizes():
    logits = tf.constant([[-4.0], [4.0]])  # D is confident that the first is generated: minimax hardly changes it
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


def hand(d_real, d_generated, g_generated):
    """Losses of both examples from functions of a logit, averaged over two regions."""
    real, made = REAL.numpy().reshape(2, 2), GENERATED.numpy().reshape(2, 2)
    each = [np.vectorize(function) for function in (d_real, d_generated, g_generated)]
    return (each[0](real) + each[1](made)).mean(1), each[2](made).mean(1)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"adversarial": "least_squares"},
            hand(lambda x: (x - 1) ** 2 / 2, lambda x: x**2 / 2, lambda x: (x - 1) ** 2 / 2),
        ),
        (
            {"adversarial": "least_squares", "label_smoothing": 0.1},
            hand(lambda x: (x - 0.9) ** 2 / 2, lambda x: x**2 / 2, lambda x: (x - 1) ** 2 / 2),
        ),
        ({"adversarial": "hinge"}, hand(lambda x: max(0, 1 - x), lambda x: max(0, 1 + x), lambda x: -x)),
        ({"adversarial": "wasserstein"}, hand(lambda x: -x, lambda x: x, lambda x: -x)),
        (
            {"label_smoothing": 0.1},  # of the cross entropy: only real images' label is less than 1
            hand(lambda x: 0.9 * softplus(-x) + 0.1 * softplus(x), softplus, lambda x: softplus(-x)),
        ),
    ],
)
def test_other_adversarial_losses_by_hand(config, expected):
    for got, want in zip(losses.adversarial_losses(REAL, GENERATED, LossConfig(**config)), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_penalties_of_a_linear_discriminator_by_hand():
    """D(x) = 3 x_0 + 4 x_1 has a gradient of length 5 everywhere."""
    weights = tf.constant([3.0, 4.0])
    real, generated = tf.random.stateless_normal([2, 3, 1, 2, 1], seed=[1, 2])

    def discriminate(images):
        return tf.reshape(images, [-1, 2]) @ weights[:, tf.newaxis]

    np.testing.assert_allclose(
        losses.gradient_penalty(discriminate, real, generated, tf.zeros([3])), [16] * 3, rtol=1e-5
    )
    np.testing.assert_allclose(losses.zero_centred_penalty(discriminate, real), [12.5] * 3, rtol=1e-5)


def test_the_gradient_penalty_is_at_the_interpolated_image():
    """D(x) = x^2 / 2 has the gradient x: at real 0 and generated 4, a share of 1/4 is x = 1."""
    real, generated = tf.zeros([2, 1, 1, 1]), tf.fill([2, 1, 1, 1], 4.0)
    mixing = tf.constant([0.25, 0.75])
    penalty = losses.gradient_penalty(lambda x: tf.square(x) / 2, real, generated, mixing)
    np.testing.assert_allclose(penalty, [0, 4], atol=1e-5)


def test_the_penalty_of_a_constant_discriminator_has_a_gradient():
    scale = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(
            lambda x: scale * x, tf.zeros([1, 1, 1, 1]), tf.ones([1, 1, 1, 1]), tf.zeros([1])
        )
    np.testing.assert_allclose(penalty, [1], rtol=1e-5)
    assert np.isfinite(tape.gradient(penalty, scale))


def test_penalties_have_gradients_in_a_graph():
    """Their gradient with respect to D's weights, against finite differences."""
    weight = tf.Variable(0.7)
    real, generated, mixing = tf.fill([1, 1, 1, 1], 0.3), tf.fill([1, 1, 1, 1], -0.4), tf.constant([0.2])

    @tf.function
    def loss():
        discriminate = lambda x: tf.sin(weight * x)  # noqa: E731
        penalty = losses.gradient_penalty(discriminate, real, generated, mixing)
        penalty += losses.zero_centred_penalty(discriminate, real)
        return tf.reduce_sum(penalty)

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, weight)
    values = []
    for shift in (1e-2, -1e-2):
        weight.assign(0.7 + shift)
        values.append(loss())
    np.testing.assert_allclose(gradient, (values[0] - values[1]) / 2e-2, rtol=1e-2)
