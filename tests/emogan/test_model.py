import numpy as np
import pytest
import tensorflow as tf

from emogan import networks
from emogan.config import LossConfig, ModelConfig
from emogan.model import EmoGAN

SMALL = ModelConfig(size=16, base_filters=4, noise_dim=8)
BATCH = 4


@pytest.fixture
def batch(rng):
    return {
        "source": rng.uniform(-1, 1, (BATCH, 16, 16, 3)).astype("f"),
        "target": rng.uniform(-1, 1, (BATCH, 16, 16, 1)).astype("f"),
        "condition": np.eye(6, dtype="f")[[0, 3, 5, 1]],
        "noise": rng.uniform(-1, 1, (BATCH, SMALL.noise_dim)).astype("f"),
    }


def make_gan(*, classifier=True, loss=None, frozen=(), rate=1e-3, eager=True):
    tf.keras.utils.set_random_seed(5)
    gan = EmoGAN(
        generator=networks.build_generator(SMALL),
        discriminator=networks.build_discriminator(SMALL),
        classifier=networks.build_classifier(SMALL) if classifier else None,
        loss=loss or LossConfig(),
        global_batch_size=BATCH,
    )
    rates = {player: 0.0 if player in frozen else rate for player in "gdq"}
    adam = tf.keras.optimizers.legacy.Adam
    gan.compile(
        g_optimizer=adam(rates["g"], 0.5),
        d_optimizer=adam(rates["d"], 0.5),
        q_optimizer=adam(rates["q"], 0.5) if classifier else None,
    )
    gan.run_eagerly = eager  # tracing costs more than a few small steps
    return gan


def endless(batch):
    return tf.data.Dataset.from_tensors(batch).repeat()


def weights(gan):
    made = {"g": gan.generator, "d": gan.discriminator, "q": gan.classifier}
    return {name: [v.numpy() for v in network.trainable_variables] for name, network in made.items() if network}


def moved(before, after):
    return {name for name in before if any((a != b).any() for a, b in zip(before[name], after[name], strict=True))}


@pytest.mark.parametrize("frozen", ["", "g", "d", "q", "gd", "dq"])
def test_a_step_moves_each_network_by_its_own_optimizer_only(batch, frozen):
    gan = make_gan(frozen=frozen)
    before = weights(gan)
    gan.fit(endless(batch), steps_per_epoch=1, verbose=0)
    assert moved(before, weights(gan)) == set("gdq") - set(frozen)


def test_without_q_two_networks_move_and_nothing_is_said_of_q(batch):
    gan = make_gan(classifier=False)
    before = weights(gan)
    history = gan.fit(endless(batch), steps_per_epoch=1, verbose=0).history
    assert moved(before, weights(gan)) == {"g", "d"}
    assert not [name for name in history if "q_" in name or "classifier" in name]


def test_every_weight_of_every_network_moves(batch):
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
            # where a gradient is next to nothing, its sign is rounding's
            assert np.quantile(np.abs(got - want), 0.99) < 2e-5


def test_test_step_measures_the_same_and_moves_nothing(batch):
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


def test_two_replicas_equal_one(batch):
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(cpus) == 2
    results = []
    for devices in (cpus[:1], cpus):
        with tf.distribute.MirroredStrategy(devices).scope():
            gan = make_gan(rate=2e-4, eager=False)
        logs = gan.fit(endless(batch), steps_per_epoch=5, verbose=0).history
        results.append((weights(gan), logs))
    (one, one_logs), (two, two_logs) = results
    assert moved(make_gan_weights(), one) == set("gdq")
    for player in "gdq":
        difference = max(np.abs(a - b).max() for a, b in zip(one[player], two[player], strict=True))
        assert difference < 1e-5, (player, difference)
    for name in one_logs:
        assert two_logs[name][0] == pytest.approx(one_logs[name][0], rel=1e-4, abs=1e-5), name


def make_gan_weights():
    return weights(make_gan(rate=2e-4))


def test_compile_wants_an_optimizer_for_every_player_and_no_more(batch):
    gan = make_gan()
    adam = tf.keras.optimizers.legacy.Adam
    with pytest.raises(ValueError, match="belong together"):
        gan.compile(g_optimizer=adam(), d_optimizer=adam())
    without = make_gan(classifier=False)
    with pytest.raises(ValueError, match="belong together"):
        without.compile(g_optimizer=adam(), d_optimizer=adam(), q_optimizer=adam())


def test_a_checkpoint_and_a_saved_model_carry_training_on_bit_for_bit(batch, tmp_path):
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
