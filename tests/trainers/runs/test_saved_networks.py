import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from emogan import networks
from emogan.config import ModelConfig
from emogan.errors import UserError
from trainers.runs import devices, training
from trainers.runs.config import FORMAT
from trainers.runs.saved_networks import (
    layer_digests,
    load_network,
    save_network,
    seen_speakers,
    start_from,
    transfer_trunk,
)


def test_a_saved_network_gives_the_same_output_and_can_be_trained_further(tmp_path, rng, small):
    gan = small.make_gan()
    path = tmp_path / "generator"
    save_network(gan.generator, small.model, path, ["crema_d_av:1001"])
    strategy = devices.make_strategy()
    with strategy.scope():
        loaded = load_network(path, small.model)
    inputs = [rng.uniform(-1, 1, (3, 16, 16, 3)), np.eye(6)[:3], rng.uniform(-1, 1, (3, 8))]
    inputs = [tf.constant(x, tf.float32) for x in inputs]
    np.testing.assert_array_equal(loaded(inputs), gan.generator(inputs))
    served = tf.saved_model.load(path).signatures["serving_default"]  # without Keras
    answer = served(**dict(zip(("face", "condition", "noise"), inputs, strict=True)))["output_0"]
    np.testing.assert_allclose(answer, gan.generator(inputs), atol=1e-6)
    names = [v.name for v in loaded.trainable_variables]
    assert len(names) == len(gan.generator.trainable_variables)
    before = [v.numpy() for v in loaded.trainable_variables]
    with strategy.scope():
        optimizer = training.adam(small.steps)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(loaded(inputs) - 0.5))
        gradients = tape.gradient(loss, loaded.trainable_variables)
        optimizer.apply_gradients(zip(gradients, loaded.trainable_variables, strict=True))

    strategy.run(tf.function(step))
    still = [n for n, a, b in zip(names, before, loaded.trainable_variables, strict=True) if (a == b.numpy()).all()]
    assert still == []


def test_a_network_is_not_tested_on_speakers_that_it_was_trained_on(tmp_path, small):
    path = tmp_path / "d"
    save_network(networks.build_discriminator(small.model), small.model, path, ["crema_d_av:1001", "ravdess_av:01"])
    assert seen_speakers(path) == {"crema_d_av:1001", "ravdess_av:01"}
    load_network(path, unseen=["crema_d_av:1002", "ravdess_av:1001"])
    with pytest.raises(UserError, match=f"{path} .*ravdess_av:01"):
        load_network(path, unseen=["crema_d_av:1002", "ravdess_av:01"])


def test_what_does_not_fit_is_refused_with_the_difference(tmp_path, small):
    path = tmp_path / "d"
    save_network(networks.build_discriminator(small.model), small.model, path, [])
    with pytest.raises(UserError, match=r"size: 64, 16.*base_filters: 16, 4"):
        load_network(path, ModelConfig(size=64, base_filters=16, noise_dim=8))
    with pytest.raises(UserError, match=r"direction: audio_to_face, face_to_audio"):
        load_network(path, dataclasses.replace(small.model, direction="audio_to_face"))
    with pytest.raises(UserError, match=r"role: generator, discriminator"):
        load_network(path, small.model, "generator")
    with pytest.raises(UserError, match=r"no emogan\.json"):
        load_network(tmp_path, small.model)
    about = path / "emogan.json"
    about.write_text(about.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    with pytest.raises(UserError, match=rf"format: {FORMAT}, 1"):
        load_network(path)


def test_a_classifier_fits_every_gan_with_the_same_targets_and_classes(tmp_path, small):
    other = dataclasses.replace(small.model, generator="modulated", noise_dim=4, spectral_norm=True, d_sees_source=True)
    path = tmp_path / "q"
    save_network(networks.build_classifier(other), other, path, [])
    load_network(path, small.model, "classifier")
    for changes in ({"num_classes": 8}, {"base_filters": 8}, {"direction": "audio_to_face"}):
        with pytest.raises(UserError, match=next(iter(changes))):
            load_network(path, dataclasses.replace(small.model, **changes), "classifier")


def test_other_weights_than_were_saved_are_refused(tmp_path, small):
    save_network(networks.build_discriminator(small.model), small.model, tmp_path / "a", [])
    save_network(networks.build_discriminator(small.model), small.model, tmp_path / "b", [])
    (tmp_path / "b" / "emogan.json").write_text((tmp_path / "a" / "emogan.json").read_text())
    with pytest.raises(UserError, match=r"b is damaged: .* trunk_0_conv, "):
        load_network(tmp_path / "b")


def test_a_recogniser_can_start_from_the_kernels_of_d(tmp_path, small):
    for settings in ({}, {"generator": "modulated", "d_sees_source": True}):
        model = dataclasses.replace(small.model, **settings)
        discriminator, recogniser = networks.build_discriminator(model), networks.build_classifier(model)
        path = tmp_path / f"d_{len(settings)}"
        save_network(discriminator, model, path, [])
        before = layer_digests(recogniser)
        transfer_trunk(recogniser, path)
        after = layer_digests(recogniser)
        changed = {layer for layer in before if after[layer] != before[layer]}
        assert changed == {layer for layer in before if layer.startswith("trunk_") and layer.endswith("_conv")}
        assert len(changed) > 1
        for layer in changed:
            np.testing.assert_array_equal(
                recogniser.get_layer(layer).get_weights()[0], discriminator.get_layer(layer).get_weights()[0]
            )


def pretrained(small, folder):
    tf.keras.utils.set_random_seed(1)
    made = networks.build_generator(small.model), networks.build_discriminator(small.model)
    networks.adapt_standardisation(made[0], networks.FACE, [np.random.default_rng(1).uniform(-1, 0, (4, 16, 16, 3))])
    for network in made:
        save_network(network, small.model, folder / network.name, [])
    return [layer_digests(network) for network in made]


@pytest.mark.parametrize(
    ("transfer", "g_layers", "d_layers"),
    [
        (
            "generator_and_discriminator",
            ("encoder_", "decoder_", "standardise_"),
            ("trunk_", "standardise_", "region_logits"),
        ),
        ("generator", ("encoder_", "decoder_", "standardise_"), ()),
        ("encoder", ("encoder_", "standardise_"), ()),
    ],
)
@pytest.mark.parametrize("freeze", [False, True])
def test_the_transferred_layers_are_a_setting(tmp_path, small, transfer, g_layers, d_layers, freeze):
    before = pretrained(small, tmp_path)
    tf.keras.utils.set_random_seed(2)
    generator, discriminator = networks.build_generator(small.model), networks.build_discriminator(small.model)
    config = small.run_config(transfer=transfer, freeze_encoder=freeze)
    lines = start_from(generator, discriminator, config, tmp_path)
    expected = [
        (network.name, layer)
        for network, digests, starts in zip((generator, discriminator), before, (g_layers, d_layers), strict=True)
        for layer in digests
        if layer.startswith(starts or ("none",))
    ]
    assert [tuple(line.split()[:2]) for line in lines] == expected
    for network, digests in zip((generator, discriminator), before, strict=True):
        for layer, digest in layer_digests(network).items():
            taken = (network.name, layer) in expected
            same_anyway = layer.endswith("_norm") or (layer.startswith("standardise_") and network is discriminator)
            assert (digest == digests[layer]) == (taken or same_anyway), (network.name, layer)
    frozen = {line.split()[1] for line in lines if line.endswith(", frozen")}
    assert frozen == ({layer for _, layer in expected if layer.startswith("encoder_")} if freeze else set())
    trained = {v.name.split("/")[0] for v in generator.trainable_variables}
    assert ("encoder_0_conv" not in trained) == freeze
    assert "decoder_0_conv" in trained


def test_transfer_from_another_preset_is_refused_with_the_difference(tmp_path, small):
    pretrained(small, tmp_path)
    other = dataclasses.replace(small.model, base_filters=8)
    made = networks.build_generator(other), networks.build_discriminator(other)
    with pytest.raises(UserError, match=r"generator .*\(model\.base_filters: 8, 4: "):
        start_from(*made, small.run_config(model=other), tmp_path)


def test_transfer_from_other_classes_keeps_the_weights_of_the_condition(tmp_path, small):
    pretrained(small, tmp_path)
    model = dataclasses.replace(small.model, num_classes=2)
    generator, discriminator = networks.build_generator(model), networks.build_discriminator(model)
    name = "decoder_3_conv"
    (fresh,) = generator.get_layer(name).get_weights()
    lines = start_from(generator, discriminator, small.run_config(model=model), tmp_path)
    (new,), (old,) = (
        network.get_layer(name).get_weights() for network in (generator, load_network(tmp_path / "generator"))
    )
    encoded = old.shape[3] - 6 - 8  # followed by six classes and eight numbers of noise
    np.testing.assert_array_equal(new[..., :encoded], old[..., :encoded])
    np.testing.assert_array_equal(new[..., encoded : encoded + 2], fresh[..., encoded : encoded + 2])
    np.testing.assert_array_equal(new[..., encoded + 2 :], old[..., encoded + 6 :])
    assert [line.split()[1] for line in lines if line.endswith("but for the condition")] == [name]


def test_transfer_from_other_classes_keeps_the_weights_of_the_modulated_networks_condition(tmp_path, small):
    six = dataclasses.replace(small.model, generator="modulated", d_sees_source=True)
    two = dataclasses.replace(six, num_classes=2)
    for network in (networks.build_generator(six), networks.build_discriminator(six)):
        save_network(network, six, tmp_path / network.name, [])
    generator, discriminator = networks.build_generator(two), networks.build_discriminator(two)
    fresh = generator.get_layer("mapping_0").get_weights()[0]
    own = discriminator.get_layer("condition_projection").get_weights()[0]
    lines = start_from(generator, discriminator, small.run_config(model=two), tmp_path)
    new, old = (
        network.get_layer("mapping_0").get_weights()[0] for network in (generator, load_network(tmp_path / "generator"))
    )
    face = 2 * two.base_filters
    np.testing.assert_array_equal(new, np.concatenate([old[:face], fresh[face : face + 2], old[face + 6 :]]))
    np.testing.assert_array_equal(discriminator.get_layer("condition_projection").get_weights()[0], own)
    left = [line.split()[:2] for line in lines if line.endswith("but for the condition")]
    assert left == [["generator", "mapping_0"], ["discriminator", "condition_projection"]]
    assert len(lines) == sum(bool(layer.weights) for network in (generator, discriminator) for layer in network.layers)


@pytest.mark.parametrize(("named", "transferred"), [(list("abcdef"), True), (list("abcdeg"), False)])
def test_transfer_from_a_calibration_includes_the_weights_of_the_condition_if_the_classes_are_the_same(
    tmp_path, small, named, transferred
):
    pretrained(small, tmp_path)
    (tmp_path / "served.json").write_text(json.dumps({"class_names": named}))
    tf.keras.utils.set_random_seed(2)
    generator, discriminator = networks.build_generator(small.model), networks.build_discriminator(small.model)
    start_from(generator, discriminator, small.run_config(), tmp_path, list("abcdef"))
    (new,), (old,) = (
        network.get_layer("decoder_3_conv").get_weights()
        for network in (generator, load_network(tmp_path / "generator"))
    )
    condition = slice(old.shape[3] - 6 - 8, old.shape[3] - 8)
    assert (new[..., condition] == old[..., condition]).all() == transferred
    np.testing.assert_array_equal(new[..., -8:], old[..., -8:])
