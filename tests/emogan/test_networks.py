import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from emogan import networks
from emogan.config import GENERATORS, PRESETS
from emogan.networks import FACE, SPECTROGRAM
from trainers.runs.config import recipe

TINY = PRESETS["tiny"]


def parameters(preset, **changes):
    config = dataclasses.replace(PRESETS[preset], **changes)
    made = (networks.build_generator(config), networks.build_discriminator(config), networks.build_classifier(config))
    return tuple(sum(int(np.prod(v.shape)) for v in network.trainable_variables) for network in made)


@pytest.mark.parametrize(
    ("preset", "generator", "g", "d", "q"),
    [
        ("tiny", "unet", 169_197, 11_221, 11_130),
        ("tiny", "modulated", 65_305, 52_129, 11_130),
        ("64", "unet", 2_046_897, 173_905, 173_526),
        ("64", "modulated", 1_015_765, 825_985, 173_526),
        ("128", "unet", 42_694_337, 6_955_329, 6_953_798),
        ("128", "modulated", 23_216_454, 21_573_121, 6_953_798),
        ("paper", "unet", 55_279_297, 11_150_657, 11_149_126),
        ("paper", "modulated", 30_296_903, 29_962_753, 11_149_126),
    ],
)
def test_parameter_counts(preset, generator, g, d, q):
    usual = recipe(generator)
    shape = {name: usual[name] for name in ("noise_dim", "d_sees_source")}
    assert parameters(preset, generator=generator, **shape) == (g, d, q)
    assert preset != "paper" or g + d + q > 50_000_000


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(
    ("direction", "source", "target"), [("face_to_audio", FACE, SPECTROGRAM), ("audio_to_face", SPECTROGRAM, FACE)]
)
def test_shapes_and_range(rng, generator, direction, source, target):
    config = dataclasses.replace(TINY, direction=direction, generator=generator)
    assert networks.source_and_target(config) == (source, target)
    images = {p: rng.uniform(-1, 1, (2, 64, 64, p.channels)).astype("f") for p in (source, target)}
    condition, noise = np.eye(6, dtype="f")[:2], rng.uniform(-1, 1, (2, TINY.noise_dim)).astype("f")
    made = networks.build_generator(config)([images[source], condition, noise])
    assert made.shape == (2, 64, 64, target.channels)
    assert made.dtype == tf.float32
    assert np.abs(made).max() <= 1
    seen, shape = (images[target], (2, 4, 4, 1)) if generator == "unet" else ([images[target], condition], (2, 1))
    assert networks.build_discriminator(config)(seen).shape == shape
    assert networks.build_classifier(config)(images[target]).shape == (2, 6)
    assert networks.build_classifier(config, source)(images[source]).shape == (2, 6)


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_generator_depends_on_face_condition_and_noise(rng, generator):
    tf.keras.utils.set_random_seed(1)
    generator = networks.build_generator(dataclasses.replace(TINY, generator=generator))
    first = [rng.uniform(-1, 1, (1, 64, 64, 3)), np.eye(6)[:1], rng.uniform(-1, 1, (1, TINY.noise_dim))]
    other = [rng.uniform(-1, 1, (1, 64, 64, 3)), np.eye(6)[1:2], rng.uniform(-1, 1, (1, TINY.noise_dim))]
    made = generator([tf.constant(x, tf.float32) for x in first]).numpy()
    for changed in range(3):
        inputs = [other[i] if i == changed else first[i] for i in range(3)]
        assert np.abs(generator([tf.constant(x, tf.float32) for x in inputs]).numpy() - made).max() > 1e-4


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_batch_of_one_gives_the_same_as_a_larger_batch(rng, generator):
    generator = networks.build_generator(dataclasses.replace(TINY, generator=generator))
    inputs = [rng.uniform(-1, 1, (3, 64, 64, 3)), np.eye(6)[:3], rng.uniform(-1, 1, (3, TINY.noise_dim))]
    inputs = [tf.constant(x, tf.float32) for x in inputs]
    np.testing.assert_allclose(generator([x[1:2] for x in inputs]), generator(inputs)[1:2], atol=1e-5)


def test_the_modulated_generator_encodes_a_source_once_for_several_noises(rng):
    generator = networks.build_generator(dataclasses.replace(TINY, generator="modulated"))
    faces, conditions, noises = (
        tf.constant(rng.uniform(-1, 1, (count, *tensor.shape[1:])), tf.float32)
        for count, tensor in zip((2, 4, 4), generator.inputs, strict=True)
    )
    expected = generator([tf.concat([faces, faces], 0), conditions, noises])
    np.testing.assert_allclose(generator([faces, conditions, noises]), expected, atol=1e-6)


def test_each_network_standardises_its_inputs(rng):
    faces = rng.uniform(-1, 0, (8, 64, 64, 3))
    generator = networks.build_generator(TINY)
    networks.adapt_standardisation(generator, FACE, [faces])
    np.testing.assert_allclose(
        generator.get_layer("standardise_face").mean.numpy().ravel(), faces.mean((0, 1, 2)), rtol=1e-5
    )
    spectrograms = rng.uniform(-1, 0, (8, 64, 64, 1))
    classifier = networks.build_classifier(TINY)
    networks.adapt_standardisation(classifier, SPECTROGRAM, [spectrograms])
    np.testing.assert_allclose(
        classifier.get_layer("standardise_spectrogram").deviation.numpy().ravel(),
        spectrograms.std((0, 2, 3)),
        rtol=1e-5,
    )


def test_the_modulated_discriminator_depends_on_image_condition_and_source(rng):
    tf.keras.utils.set_random_seed(1)
    config = dataclasses.replace(TINY, generator="modulated", d_sees_source=True)
    discriminator = networks.build_discriminator(config)
    assert discriminator.input_names == ["spectrogram", "condition", "face"]
    one, other = (
        [rng.uniform(-1, 1, (1, 64, 64, 1)), np.eye(6)[[number]], rng.uniform(-1, 1, (1, 64, 64, 3))]
        for number in (0, 1)
    )
    found = discriminator([tf.constant(x, tf.float32) for x in one]).numpy()
    for changed in range(3):
        inputs = [other[i] if i == changed else one[i] for i in range(3)]
        assert np.abs(discriminator([tf.constant(x, tf.float32) for x in inputs]).numpy() - found).max() > 1e-4


@pytest.mark.parametrize("generator", GENERATORS)
def test_training_g_has_only_operations_that_are_deterministic_on_gpus(generator):
    """Likely operations without a deterministic GPU kernel; TensorFlow would raise at the first step."""
    network = networks.build_generator(dataclasses.replace(TINY, generator=generator))

    @tf.function
    def step(*inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(inputs, training=True))
        return tape.gradient(loss, network.trainable_variables)

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in network.inputs]
    types = {operation.type for operation in step.get_concrete_function(*specs).graph.get_operations()}
    assert "Conv2DBackpropFilter" in types
    assert not types & {"ResizeNearestNeighborGrad", "ResizeBicubicGrad", "DepthwiseConv2dNativeBackpropFilter"}


def test_only_the_weights_of_the_condition_are_kept():
    kernel, other = np.zeros((2 + 3 + 1, 5)), np.ones((2 + 4 + 1, 5))  # two numbers, the condition, one number
    found = networks.but_for_the_condition(kernel, other, num_classes=3, axis=0, behind=1)
    np.testing.assert_array_equal(found[:, 0], [1, 1, 0, 0, 0, 1])
