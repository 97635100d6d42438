"""A training step of G, D and Q: which weights change, by which losses, and the effect of each option."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from small_gans import BATCH, MODULATED, SMALL, endless, largest_difference, make_gan, moved, weights

from emogan import networks
from emogan.config import ADVERSARIAL_FORMS, GENERATORS, LossConfig, TrainConfig
from emogan.model import EmoGAN


@pytest.mark.parametrize("frozen", ["", "g", "d", "q", "gd", "dq"])
def test_a_step_updates_each_network_only_with_its_own_optimizer(batch, frozen):
    gan = make_gan(frozen=frozen)
    before = weights(gan)
    gan.fit(endless(batch), steps_per_epoch=1, verbose=0)
    assert moved(before, weights(gan)) == set("gdq") - set(frozen)


@pytest.mark.parametrize("model", [SMALL, MODULATED], ids=GENERATORS)
def test_one_pass_of_d_gives_the_same_as_two(batch, model):
    apart, together = make_gan(model=model), make_gan(model=model)
    apart.judges_in_one_pass, together.judges_in_one_pass = False, True
    expected = apart._part_gradients(batch)
    for player, gradients in together._part_gradients(batch).items():
        for one, other in zip(gradients, expected[player], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    for name, mean in together.means.items():
        assert float(mean.result()) == pytest.approx(float(apart.means[name].result()), abs=1e-6)


@pytest.mark.parametrize(
    ("size", "base_filters", "batch_size", "one_pass"), [(64, 16, 16, False), (256, 64, 1, True), (256, 64, 4, False)]
)
def test_d_has_one_pass_if_its_weights_are_larger_than_its_maps(size, base_filters, batch_size, one_pass):
    model = dataclasses.replace(SMALL, size=size, base_filters=base_filters)
    gan = EmoGAN(
        generator=networks.build_generator(SMALL),
        discriminator=networks.build_discriminator(model),
        classifier=None,
        loss=LossConfig(),
        train=TrainConfig(steps=500, batch_size=batch_size),
    )
    assert gan.judges_in_one_pass == one_pass


def test_without_q_two_networks_are_trained_and_q_has_no_metrics(batch):
    gan = make_gan(classifier=False)
    before = weights(gan)
    history = gan.fit(endless(batch), steps_per_epoch=1, verbose=0).history
    assert moved(before, weights(gan)) == {"g", "d"}
    assert not [name for name in history if "q_" in name or "classifier" in name]


def test_every_weight_of_every_network_changes(batch):
    gan = make_gan()
    before = weights(gan)
    gan.fit(endless(batch), steps_per_epoch=2, verbose=0)
    for name, after in weights(gan).items():
        still = [i for i, (a, b) in enumerate(zip(before[name], after, strict=True)) if (a == b).all()]
        assert still == [], name


def test_the_step_is_adams_step_along_the_gradient_of_the_stated_losses(batch):
    loss = LossConfig(lambda_l1=3.0, lambda_q=2.0)
    gan = make_gan(loss=loss)
    tensors = {k: tf.constant(v) for k, v in batch.items()}

    def sigmoid_ce(logits, label):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(logits) * label, logits))

    with tf.GradientTape(persistent=True) as tape:
        made = gan.generator([tensors["source"], tensors["condition"], tensors["noise"]])
        d_made, d_real = gan.discriminator(made), gan.discriminator(tensors["target"])
        ce = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
        expected = {
            "d": sigmoid_ce(d_real, 1.0) + sigmoid_ce(d_made, 0.0),
            "g": sigmoid_ce(d_made, 1.0)
            + 3.0 * tf.reduce_mean(tf.abs(made - tensors["target"]))
            + 2.0 * ce(tensors["condition"], gan.classifier(made)),
            "q": ce(tensors["condition"], gan.classifier(tensors["target"])),
        }
    networks_of = {"g": gan.generator, "d": gan.discriminator, "q": gan.classifier}
    wanted = {}
    for player, network in networks_of.items():
        variables = network.trainable_variables
        wanted[player] = [
            # Adam's first step is rate * g / (|g| + epsilon'), with epsilon' = 1e-7 / sqrt(1 - 0.999)
            v.numpy() - 1e-3 * g / (np.abs(g) + 1e-7 / np.sqrt(1e-3))
            for v, g in zip(variables, [g.numpy() for g in tape.gradient(expected[player], variables)], strict=True)
        ]
    logs = gan.fit(endless(batch), steps_per_epoch=1, verbose=0).history
    for player in "gdq":
        assert logs[f"{player}_loss"][0] == pytest.approx(float(expected[player]), rel=1e-5)
        for got, want in zip(weights(gan)[player], wanted[player], strict=True):
            # the sign of a gradient near 0 is rounding error
            assert np.quantile(np.abs(got - want), 0.99) < 2e-5


def test_a_step_is_traced_once_and_each_gradient_of_g_too(batch):
    gan, traces = make_gan(eager=False), []
    step = gan.train_step

    def traced_step(examples):
        traces.append(step(examples))
        return traces[-1]

    gan.train_step = traced_step
    gan.fit(endless(batch), steps_per_epoch=2, verbose=0)
    assert len(traces) == 1
    operations = traces[0]["g_loss"].graph.get_operations()
    filters = [one for one in operations if one.type == "Conv2DBackpropFilter" and "generator/encoder_1" in one.name]
    assert len(filters) == 1


def test_test_step_gives_the_same_losses_and_changes_nothing(batch):
    gan = make_gan()
    before = weights(gan)
    measured = gan.evaluate(endless(batch), steps=1, verbose=0, return_dict=True)
    assert moved(before, weights(gan)) == set()
    trained = gan.fit(endless(batch), steps_per_epoch=1, verbose=0).history
    assert measured.keys() == trained.keys()
    for name, value in measured.items():
        assert trained[name][0] == pytest.approx(value, rel=1e-5), name


def test_training_on_one_batch_learns_it(batch):
    gan = make_gan(eager=False)
    history = gan.fit(endless(batch), steps_per_epoch=50, epochs=4, verbose=0).history
    assert history["g_l1_loss"][-1] < 0.9 * history["g_l1_loss"][0]
    assert history["q_accuracy"][-1] == 1.0


def test_compile_needs_one_optimizer_per_network(batch):
    gan = make_gan()
    adam = tf.keras.optimizers.legacy.Adam
    with pytest.raises(ValueError, match="both or neither"):
        gan.compile(g_optimizer=adam(), d_optimizer=adam())
    without = make_gan(classifier=False)
    with pytest.raises(ValueError, match="both or neither"):
        without.compile(g_optimizer=adam(), d_optimizer=adam(), q_optimizer=adam())


def test_training_resumes_bit_identically_from_a_checkpoint_and_saved_models(batch, tmp_path):
    tf.config.experimental.enable_op_determinism()
    straight = make_gan()
    straight.fit(endless(batch), steps_per_epoch=4, verbose=0)
    halted = make_gan()
    halted.fit(endless(batch), steps_per_epoch=2, verbose=0)
    path = tf.train.Checkpoint(model=halted).save(str(tmp_path / "c"))
    resumed = make_gan()
    tf.train.Checkpoint(model=resumed).restore(path)
    resumed.fit(endless(batch), steps_per_epoch=2, verbose=0)
    assert moved(weights(straight), weights(resumed)) == set()


OPTIONS = {
    **{form: {"loss": LossConfig(adversarial=form)} for form in ADVERSARIAL_FORMS},
    "r1": {"loss": LossConfig(r1_gamma=1.0)},
    "label_smoothing": {"loss": LossConfig(label_smoothing=0.1)},
    "instance_noise": {"loss": LossConfig(instance_noise=0.1)},
    "diff_augment": {"loss": LossConfig(diff_augment=True)},
    "spectral_norm": {"model": dataclasses.replace(SMALL, spectral_norm=True)},
    "d_sees_source": {"model": dataclasses.replace(SMALL, d_sees_source=True)},
    "lambda_code": {"loss": LossConfig(lambda_code=1.0)},
    "lambda_mismatch": {"loss": LossConfig(lambda_mismatch=1.0), "model": MODULATED},
    "other_requests": {"loss": LossConfig(other_requests=1.0)},
    "r1_interval": {"loss": LossConfig(r1_gamma=1.0, r1_interval=2)},
    "q_augment": {"loss": LossConfig(q_augment=True)},
    "modulated": {"model": dataclasses.replace(SMALL, generator="modulated")},
    "modulated, d_sees_source": {"model": MODULATED},
    "g_ema": {"g_ema": 0.9},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_trains_all_networks_and_has_an_effect(batch, option):
    gan = make_gan(**OPTIONS[option])
    before = weights(gan)
    logs = gan.fit(endless(batch), steps_per_epoch=2, verbose=0, validation_data=endless(batch), validation_steps=1)
    assert moved(before, weights(gan)) == set("gdq")
    for name, values in logs.history.items():
        assert np.isfinite(values).all(), name
    assert ("d_penalty_loss" in logs.history) == (option in ("wasserstein", "r1", "r1_interval"))
    plain = make_gan()
    plain.fit(endless(batch), steps_per_epoch=2, verbose=0)
    if option == "g_ema":  # changes only the saved weights
        pairs = zip(gan.averaged_generator.get_weights(), plain.averaged_generator.get_weights(), strict=True)
        assert max(np.abs(a - b).max() for a, b in pairs) > 1e-4
    elif "model" in OPTIONS[option] and option != "spectral_norm":  # D has another shape
        assert plain.discriminator.count_params() < gan.discriminator.count_params()
    elif option != "non_saturating":
        assert largest_difference(weights(plain), weights(gan)) > 1e-5


def test_the_mismatch_loss_by_hand(batch):
    gan = make_gan(model=MODULATED, loss=LossConfig(lambda_mismatch=0.5))
    made = gan.generator([batch["source"], batch["condition"], batch["noise"]])
    real, generated, mismatched = (
        gan.discriminator([image, batch["condition"], batch[source]]).numpy()[:, 0].astype(float)
        for image, source in ((batch["target"], "source"), (made, "source"), (batch["target"], "other_source"))
    )
    logs = gan.fit(endless(batch), steps_per_epoch=1, verbose=0).history
    own, apart = np.logaddexp(0, -real), np.logaddexp(0, mismatched)
    mismatch = 0.5 * batch["other_speaker"] * (own + apart)  # the other source of the third is of the same speaker
    assert logs["d_loss"][0] == pytest.approx(np.mean(own + np.logaddexp(0, generated) + mismatch), rel=1e-5)
    assert logs["d_mismatched_accuracy"][0] == pytest.approx(np.mean(mismatched[[0, 1, 3]] < 0))


def test_random_emotions_are_requested_of_g(batch):
    gan, many = make_gan(loss=LossConfig(other_requests=0.5)), 4000
    own = np.eye(6, dtype="f")[np.arange(many) % 6]
    own[many // 2 :] = 0  # without a label
    drawn = {
        "condition": tf.constant(own),
        "key": tf.constant([[1, number] for number in range(many)], tf.int64),
        "source": tf.ones([many, 2, 2, 3]),
    }
    np.testing.assert_array_equal(gan._request(drawn, training=False)[0], own)
    asked, seen_by_d = gan._request(drawn, training=True)
    asked, seen = asked.numpy(), seen_by_d["source"].numpy().mean((1, 2, 3))
    assert {*seen[: many // 2]} == {0, 1}
    np.testing.assert_array_equal(seen[many // 2 :], 1)
    np.testing.assert_array_equal(asked[seen == 1], own[seen == 1])
    np.testing.assert_array_equal(asked[many // 2 :], 0)
    changed = asked[: many // 2][(asked != own)[: many // 2].any(1)]
    assert {*changed.sum(1)} == {1}
    assert len(changed) == pytest.approx(many / 2 * 0.5 * 5 / 6, abs=4 * np.sqrt(many) / 2)  # a sixth are the own
    np.testing.assert_allclose(changed.mean(0), 1 / 6, atol=0.06)


@pytest.mark.parametrize("model", [SMALL, MODULATED], ids=GENERATORS)
def test_the_losses_of_random_requests(batch, model):
    gan = make_gan(model=model, loss=LossConfig(lambda_l1=2.0, lambda_q=3.0, other_requests=1.0))
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    (request, seen_by_d), own = gan._request(tensors, training=True), batch["condition"]
    same = (request.numpy() == own).all(1)
    assert {*same} == {True, False}
    made = gan.generator([batch["source"], request, batch["noise"]])

    def logits(image, condition):
        inputs = [image, condition, seen_by_d["source"]] if model is MODULATED else image
        return gan.discriminator(inputs).numpy().reshape(BATCH, -1)

    real, generated = logits(batch["target"], own), logits(made, request)
    l1 = np.abs(made - batch["target"]).mean((1, 2, 3))
    q = tf.keras.losses.categorical_crossentropy(request, gan.classifier(made), from_logits=True).numpy()
    logs = gan.fit(endless(batch), steps_per_epoch=1, verbose=0).history
    assert logs["d_loss"][0] == pytest.approx(np.mean(np.logaddexp(0, -real) + np.logaddexp(0, generated)), rel=1e-5)
    assert logs["g_l1_loss"][0] == pytest.approx(l1[same].mean(), rel=1e-5)
    assert logs["g_classifier_loss"][0] == pytest.approx(q.mean(), rel=1e-5)
    expected = np.mean(np.logaddexp(0, -generated)) + np.mean(2 * l1 * same + 3 * q)
    assert logs["g_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_the_averaged_generator_by_hand(batch):
    gan = make_gan(g_ema=0.25)
    mean = [np.array(values) for values in gan.generator.get_weights()]
    for share in (2 / 11, 3 / 12, 0.25):  # of what was before; 4/13 and more without the limit
        gan.fit(endless(batch), steps_per_epoch=1, verbose=0)
        mean = [share * m + (1 - share) * v for m, v in zip(mean, gan.generator.get_weights(), strict=True)]
    for got, want in zip(gan.averaged_generator.get_weights(), mean, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_instance_noise_decays_to_0(batch):
    """At the last step D sees the images unchanged."""
    gan = make_gan(loss=LossConfig(instance_noise=0.5))
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    changes = []
    for step in (0, 5, 10):
        gan.d_optimizer.iterations.assign(step)
        changes.append(np.std(gan._for_d(tensors["target"], tensors, "real", training=True) - tensors["target"]))
    np.testing.assert_allclose(changes, [0.5, 0.25, 0], rtol=0.1, atol=1e-7)


def test_the_weight_of_r1_is_multiplied_by_its_interval(batch):
    """With an interval of 2: twice the penalty at a step where it is due, none at the next."""
    penalties = []
    for interval, step in ((1, 0), (2, 0), (2, 1)):
        gan = make_gan(loss=LossConfig(r1_gamma=1.0, r1_interval=interval))
        gan.d_optimizer.iterations.assign(step)
        tensors = {name: tf.constant(values) for name, values in batch.items()}
        penalties.append(gan._penalty(gan.discriminator, tensors["target"], tensors["target"], tensors).numpy())
    np.testing.assert_allclose(penalties[1], 2 * penalties[0], rtol=1e-5)
    np.testing.assert_array_equal(penalties[2], 0)
    assert penalties[0].min() > 0


def test_q_ignores_examples_without_a_label(batch):
    condition = batch["condition"].copy()
    condition[2:] = 0
    some, only = make_gan(), make_gan()
    gradients = [
        gan._part_gradients({**batch, "condition": condition} if gan is some else {k: v[:2] for k, v in batch.items()})[
            "q"
        ]
        for gan in (some, only)
    ]
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert float(some.means["q_loss"].result()) == pytest.approx(float(only.means["q_loss"].result()), rel=1e-5)
