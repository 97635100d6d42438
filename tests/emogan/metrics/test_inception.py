"""A small network with Inception's inputs and outputs, as the real network is not part of the package."""

import numpy as np
import pytest
import tensorflow as tf

from emogan.errors import UserError
from emogan.metrics.inception import load_inception


class Stand(tf.Module):
    """Returns mean colours as features, and three times these as logits, under the given names."""

    def __init__(self, *names):
        super().__init__()
        self.names = names

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3])])
    def __call__(self, images):
        means = tf.reduce_mean(images, [1, 2], keepdims=True)
        return dict(zip(self.names, (means, 3 * means), strict=False))


@pytest.fixture
def saved(tmp_path):
    def saved(*names):
        tf.saved_model.save(Stand(*names), str(tmp_path / "model"))
        return str(tmp_path / "model")

    return saved


@pytest.mark.parametrize("channels", [1, 3])
def test_features_and_logits_of_resized_images(saved, rng, channels):
    images = rng.uniform(-1, 1, (40, 64, 64, channels)).astype(np.float32)
    features, logits = load_inception(saved("pool_3", "logits"))(images)
    assert features.shape == (40, 3)
    np.testing.assert_allclose(features, np.broadcast_to(images.mean((1, 2)), (40, 3)), atol=5e-3)
    np.testing.assert_allclose(logits, 3 * features, rtol=1e-6)


def test_another_network_is_refused(saved, rng):
    with pytest.raises(UserError, match="pool_3 and logits"):
        load_inception(saved("features"))(rng.uniform(-1, 1, (2, 64, 64, 1)))


def test_a_missing_network_is_one_clear_message(tmp_path):
    with pytest.raises(UserError, match=r"Inception from .*nowhere \("):
        load_inception(str(tmp_path / "nowhere"))
