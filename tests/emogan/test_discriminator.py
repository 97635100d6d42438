import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from small_gans import MODULATED, SMALL

from emogan import networks
from emogan.discriminator import Discriminator

MODELS = {
    "unet": SMALL,
    "unet, source": dataclasses.replace(SMALL, d_sees_source=True),
    "modulated": dataclasses.replace(MODULATED, d_sees_source=False),
    "modulated, source": MODULATED,
    "modulated, source, spectral": dataclasses.replace(MODULATED, spectral_norm=True),
}


@pytest.mark.parametrize("one_pass", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_logits_and_gradients_of_pairs_are_those_of_the_whole_network(batch, name, one_pass):
    tf.keras.utils.set_random_seed(3)
    network = networks.build_discriminator(MODELS[name])
    for weight in network.trainable_variables:  # biases too
        weight.assign_add(tf.random.normal(weight.shape, stddev=0.1))
    images, conditions = (batch["target"], -batch["target"]), (batch["condition"], np.roll(batch["condition"], 1, 0))
    sources, pairs = (batch["source"], batch["other_source"]), [(0, 0, 0), (1, 1, 0), (0, 0, 1)]

    def whole():
        inputs = {"spectrogram": images, "condition": conditions, "face": sources}
        order = [list(inputs).index(one) for one in network.input_names]
        named = [[inputs[one][pair[at]] for one, at in zip(network.input_names, order, strict=True)] for pair in pairs]
        return [network(one if len(one) > 1 else one[0], training=True) for one in named]

    def in_parts():
        d, how = Discriminator(network), {"training": True, "one_pass": one_pass}
        features, vectors = d.features(images, **how), d.vectors(sources, **how)
        return d.logits([(features[i], conditions[j], vectors[k]) for i, j, k in pairs], **how)

    results = []
    for logits_of in (whole, in_parts):
        with tf.GradientTape() as tape:
            logits = logits_of()
            loss = tf.add_n([tf.reduce_sum(tf.square(part) * (n + 1)) for n, part in enumerate(logits)])
        results.append([*logits, *tape.gradient(loss, network.trainable_variables)])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_a_part_is_computed_once():
    """The trunk of the projection discriminator has one convolution for each image, not for each pair."""
    network = networks.build_discriminator(MODULATED)

    @tf.function
    def logits(image, condition, source, other_source):
        d = Discriminator(network)
        (features,), vectors = d.features([image], training=True), d.vectors([source, other_source], training=True)
        return d.logits([(features, condition, vector) for vector in vectors], training=True)

    image, condition, source = (tf.TensorSpec(one.shape, tf.float32) for one in network.inputs)
    operations = logits.get_concrete_function(image, condition, source, source).graph.get_operations()
    convolutions = [one.name for one in operations if one.type == "Conv2D"]
    assert len([name for name in convolutions if "trunk_0" in name]) == 1
    assert len([name for name in convolutions if "source_0" in name]) == 2
