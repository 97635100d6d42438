"""Batches from the examples of a dataset: their contents, augmentation, and split over replicas."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import augmentation, input_pipeline, streams
from datasets.corpus import open_corpus
from emogan import networks
from emogan.config import SPECTROGRAMS, AugmentConfig, LossConfig, ModelConfig, TrainConfig
from emogan.model import EmoGAN
from trainers.runs import training

TRAIN = "fold_2+fold_3+fold_4"
"""Of crema_d_av, when fold 0 is tested: 18 examples of 3 speakers."""


@pytest.fixture(scope="module")
def corpus(tiny_data):
    return open_corpus("crema_d_av", tiny_data, "64")


def test_noise_is_uniform_and_follows_from_seed_and_number():
    draw = [input_pipeline.noise(1, tf.constant(n, tf.int64), 500).numpy() for n in range(20)]
    np.testing.assert_array_equal(draw[3], input_pipeline.noise(1, tf.constant(3, tf.int64), 500))
    assert np.abs(draw[3] - input_pipeline.noise(2, tf.constant(3, tf.int64), 500)).max() > 0.1
    values = np.stack(draw)
    assert values.min() >= -1
    assert values.max() < 1
    assert abs(values.mean()) < 0.03  # 10,000 draws of deviation 0.577
    assert values.std() == pytest.approx(np.sqrt(1 / 3), rel=0.03)


def test_gan_batches_pair_face_voice_condition_and_noise_of_one_example(corpus):
    numbered = corpus.examples("fold_0+fold_1").enumerate()  # a speaker each
    condition = input_pipeline.label_condition(6)
    batches = list(
        input_pipeline.gan_batches(
            numbered, condition, batch_size=4, noise_dim=5, seed=9, mismatched=True, drop_remainder=False
        )
    )
    arrays = corpus.arrays("fold_0+fold_1")
    joined = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    np.testing.assert_allclose(joined["source"], arrays["face"] / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(joined["target"], arrays["spectrogram"])
    np.testing.assert_array_equal(joined["condition"], np.eye(6)[arrays["label"]])
    np.testing.assert_array_equal(joined["noise"][5], input_pipeline.noise(9, tf.constant(5, tf.int64), 5))
    before = [3, 0, 1, 2, 7, 4, 5, 6]
    np.testing.assert_array_equal(joined["other_source"][:8], joined["source"][before])
    speakers = arrays["speaker_id"]
    np.testing.assert_array_equal(joined["other_speaker"][:8], speakers[:8] != speakers[before])
    assert {*joined["other_speaker"]} == {0, 1}


def test_joined_batches_have_one_streams_examples_after_the_others(corpus, tiny_data):
    voxceleb = open_corpus("voxceleb_av", tiny_data, "64")
    null, label = input_pipeline.null_condition(6), input_pipeline.label_condition(6)
    parts = [
        input_pipeline.gan_batches(one.examples(split).enumerate(), own, batch_size=size, noise_dim=5, seed=seed)
        for one, split, own, size, seed in ((corpus, "fold_0", label, 3, 9), (voxceleb, "train", null, 1, 10))
    ]
    batch = next(iter(input_pipeline.joined_batches(parts)))
    assert {name: values.shape[0] for name, values in batch.items()} == dict.fromkeys(batch, 4)
    np.testing.assert_array_equal(np.sum(batch["condition"], 1), [1, 1, 1, 0])
    np.testing.assert_array_equal(batch["target"][:3], corpus.arrays("fold_0")["spectrogram"][:3])
    np.testing.assert_array_equal(batch["target"][3], voxceleb.arrays("train")["spectrogram"][0])
    np.testing.assert_array_equal(batch["key"][:, 0], [9, 9, 9, 10])


def test_pretraining_has_the_null_condition_and_needs_no_labels(tiny_data):
    voxceleb = open_corpus("voxceleb_av", tiny_data, "64")
    assert voxceleb.class_names == ()
    numbered = voxceleb.examples("train").enumerate()
    batch = next(
        iter(input_pipeline.gan_batches(numbered, input_pipeline.null_condition(6), batch_size=2, noise_dim=5, seed=9))
    )
    np.testing.assert_array_equal(batch["condition"], np.zeros((2, 6)))


def training_batches(corpus, first_step=0, batch_size=4, balance=False, **changes):
    stream = corpus.stream(TRAIN, batch_size=batch_size, seed=9, first_step=first_step, balance=balance)
    condition = input_pipeline.label_condition(6)
    return input_pipeline.gan_batches(stream, condition, batch_size=batch_size, noise_dim=5, seed=9, **changes)


def validation_batches(corpus, batch_size, split="fold_1"):
    numbered, condition = corpus.examples(split, cache=True).enumerate(), input_pipeline.label_condition(6)
    return input_pipeline.gan_batches(
        numbered, condition, batch_size=batch_size, noise_dim=5, seed=9, drop_remainder=False
    )


def joined(batches, n):
    taken = list(batches.take(n).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in taken]) for name in taken[0]}


@pytest.mark.parametrize("balance", [False, True])
def test_a_set_that_does_not_fit_gives_the_same_stream(corpus, monkeypatch, balance):
    fits = joined(training_batches(corpus, balance=balance), 12)
    monkeypatch.setattr("datasets.corpus.CACHE_BYTES", 18 * 64 * 64 * 5 - 1)  # a byte less than the examples have
    late = joined(training_batches(corpus, first_step=7, balance=balance), 5)
    for name, values in joined(training_batches(corpus, balance=balance), 12).items():
        np.testing.assert_array_equal(values, fits[name])
        np.testing.assert_array_equal(values[4 * 7 :], late[name])


# Augmentation


def test_the_flip_of_faces_changes_nothing_else(corpus):
    plain = joined(training_batches(corpus), 16)
    flipped = joined(training_batches(corpus, flip_faces=True), 16)
    mirrored = (flipped["source"] == plain["source"][:, :, ::-1]).all((1, 2, 3))
    same = (flipped["source"] == plain["source"]).all((1, 2, 3))
    assert (mirrored ^ same).all()
    assert abs(mirrored.sum() - 32) < 16  # of 64, 4 deviations
    for name in plain.keys() - {"source"}:
        np.testing.assert_array_equal(flipped[name], plain[name])
    late = joined(training_batches(corpus, first_step=5, flip_faces=True), 11)
    np.testing.assert_array_equal(late["source"], flipped["source"][20:])


def test_varying_faces_changes_nothing_else(corpus):
    plain, varied = joined(training_batches(corpus), 8), joined(training_batches(corpus, vary_faces=True), 8)
    assert (varied["source"] != plain["source"]).any((1, 2, 3)).all()
    assert np.abs(varied["source"]).max() <= 1
    for name in plain.keys() - {"source"}:
        np.testing.assert_array_equal(varied[name], plain[name])
    late = joined(training_batches(corpus, first_step=5, vary_faces=True), 3)
    np.testing.assert_array_equal(late["source"], varied["source"][20:])


def pairs(start):
    """A stream of 10 items: constant spectrograms of value `start` + i / 100, with the target [-i]."""
    items = np.arange(10, dtype=np.float32)
    images = np.tile((start + items / 100)[:, np.newaxis, np.newaxis, np.newaxis], (1, 16, 16, 1))
    return lambda size, first_step: streams.array_stream(
        (images, -items[:, np.newaxis]), items, batch_size=size, seed=1, first_step=first_step, balance=False
    )


def mixed(first_step=0, n=9, augment=AugmentConfig()):
    sizes = [3, 1]
    parts = [make(size, first_step) for make, size in zip((pairs(0.0), pairs(0.5)), sizes, strict=True)]
    batches = input_pipeline.mixed_batches(parts, sizes, seed=1, augment=augment, settings=SPECTROGRAMS[64])
    return tuple(np.stack(values) for values in zip(*batches.take(n).as_numpy_iterator(), strict=True))


def test_mixed_batches_take_their_share_of_each_source():
    images, targets = mixed()
    assert images.shape == (9, 4, 16, 16, 1)
    np.testing.assert_array_equal(images[..., 0, 0, 0] >= 0.5, np.tile([False, False, False, True], (9, 1)))
    np.testing.assert_allclose(images[..., 5, 5, 0] % 0.5, -targets[..., 0] / 100, atol=1e-6)
    later = mixed(first_step=4, n=5)
    np.testing.assert_array_equal(later[0], images[4:])
    np.testing.assert_array_equal(later[1], targets[4:])


def test_each_item_of_mixed_batches_has_its_own_masks():
    augment = AugmentConfig(time_masks=1, time_mask_share=0.5, frequency_masks=1, frequency_mask_share=0.5)
    plain, targets = mixed()
    masked, same_targets = mixed(augment=augment)
    np.testing.assert_array_equal(same_targets, targets)
    silent = masked == -1
    np.testing.assert_array_equal(masked, np.where(silent, -1, plain))
    assert len(np.unique(silent.reshape(36, -1), axis=0)) > 33  # no two keys are the same
    np.testing.assert_array_equal(mixed(first_step=4, n=5, augment=augment)[0], masked[4:])


def test_each_item_of_mixed_batches_is_augmented_by_its_own_key():
    augment = AugmentConfig(time_shift_share=0.3, frequency_shift_share=0.3, noise_snr_db=10.0, time_masks=1)
    plain, targets = mixed()
    made, same_targets = mixed(augment=augment)
    np.testing.assert_array_equal(same_targets, targets)
    for n in (0, 7, 35):
        image, key = plain.reshape(36, 16, 16, 1)[n], streams.key(1, tf.constant(n, tf.int64))
        expected = augmentation.augment_spectrogram(image, key, augment, SPECTROGRAMS[64])
        np.testing.assert_allclose(made.reshape(36, 16, 16, 1)[n], expected, atol=1e-6)


def test_mixup_mixes_whole_batches_by_the_number_of_the_step():
    made = mixed(augment=AugmentConfig(mixup=0.4))
    for step, (image, target) in enumerate(zip(*mixed(), strict=True)):
        expected = augmentation.mix(image, target, streams.key(1, tf.constant(step, tf.int64)), 0.4)
        np.testing.assert_allclose(made[0][step], expected[0], atol=1e-6)
        np.testing.assert_allclose(made[1][step], expected[1], atol=1e-6)


def test_a_mixed_item_weighs_as_much_as_its_parts():
    """Cross-entropy is linear in the target, so a mixed item has the sum of its parts' losses, by share and weight."""
    images = np.zeros([4, 16, 16, 1], np.float32)
    streams_of = [
        streams.array_stream((images + n, np.eye(2, dtype=np.float32)[np.full(4, n)]), np.arange(4), batch_size=2, seed=1,
                             balance=False)
        for n in (0, 1)
    ]  # fmt: skip

    def batches(weights, augment):
        made = input_pipeline.mixed_batches(
            streams_of, [2, 2], seed=1, augment=augment, settings=SPECTROGRAMS[64], weights=weights
        )
        return list(made.take(6).as_numpy_iterator())

    for image, target, weight in batches([1.0, 0.25], AugmentConfig()):
        np.testing.assert_array_equal(weight, [1, 1, 0.25, 0.25])
        np.testing.assert_array_equal(target[:, 1], image[:, 0, 0, 0])
    for image, target, weight in batches([1.0, 0.25], AugmentConfig(mixup=0.4)):
        second = image[:, 0, 0, 0]  # the share of an image that comes from the second stream
        np.testing.assert_allclose(weight, 1 - 0.75 * second, atol=1e-5)
        np.testing.assert_allclose(target[:, 1], 0.25 * second / weight, atol=1e-5)
        np.testing.assert_allclose(target.sum(1), 1, atol=1e-5)


def test_mixed_batches_resume_with_all_augmentations():
    augment = AugmentConfig(
        time_masks=1,
        frequency_masks=1,
        time_shift_share=0.3,
        frequency_shift_share=0.3,
        noise_snr_db=10.0,
        mixup=0.4,
    )
    whole, later = mixed(augment=augment), mixed(first_step=4, n=5, augment=augment)
    assert (whole[0] != mixed()[0]).any((2, 3, 4)).all()
    assert len(np.unique(whole[0].reshape(36, -1), axis=0)) == 36
    np.testing.assert_array_equal(later[0], whole[0][4:])
    np.testing.assert_array_equal(later[1], whole[1][4:])


@pytest.mark.parametrize(("augment", "drawn"), [(AugmentConfig(), False), (AugmentConfig(noise_snr_db=0.0), True)])
def test_disabled_augmentation_is_not_in_the_graph(augment, drawn):
    items = tf.data.Dataset.range(8).map(lambda n: (n, (tf.zeros([16, 16, 1]), tf.zeros([2]))))
    batches = input_pipeline.mixed_batches([items], [2], seed=1, augment=augment, settings=SPECTROGRAMS[64])
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=tf.data.experimental.to_variant(batches)).numpy()
    operations = {node.op for one in tf.compat.v1.GraphDef.FromString(graph).library.function for node in one.node_def}
    assert any(name.startswith("Stateless") for name in operations) == drawn
    assert ("FloorDiv" in operations) == drawn


# Replicas


@pytest.fixture
def replicas():
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])


def shares(strategy, batches, n):
    """For each step, the batch of each replica."""
    split = iter(strategy.experimental_distribute_dataset(batches))
    return [
        [
            {name: strategy.experimental_local_results(values)[i].numpy() for name, values in batch.items()}
            for i in (0, 1)
        ]
        for batch in (next(split) for _ in range(n))
    ]


def test_two_replicas_split_the_batches_of_one(corpus, replicas):
    alone = list(training_batches(corpus).take(9).as_numpy_iterator())  # two passes over 18 examples
    for whole, parts in zip(alone, shares(replicas, training_batches(corpus), 9), strict=True):
        assert [len(part["source"]) for part in parts] == [2, 2]
        for name in whole:
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])


@pytest.mark.parametrize(("batch_size", "expected"), [(4, [[2, 2], [1, 1]]), (5, [[3, 2], [1, 0]])])
def test_two_replicas_evaluate_every_example_once(corpus, replicas, batch_size, expected):
    whole = joined(validation_batches(corpus, batch_size), -1)
    assert len(whole["source"]) == 6
    parts = shares(replicas, validation_batches(corpus, batch_size), 2)
    assert [[len(part["source"]) for part in step] for step in parts] == expected
    together = np.concatenate([part["noise"] for step in parts for part in step])
    np.testing.assert_array_equal(together, whole["noise"])


def test_a_replica_without_a_share_of_the_last_batch_changes_no_metric(rng, replicas):
    model, settings = ModelConfig(size=16, base_filters=4, noise_dim=8), TrainConfig(steps=500, batch_size=4)
    examples = {
        "face": rng.integers(0, 256, (5, 16, 16, 3), np.uint8),
        "spectrogram": rng.uniform(-1, 1, (5, 16, 16, 1)),
        "label": np.arange(5),
    }
    batches = input_pipeline.gan_batches(
        tf.data.Dataset.from_tensor_slices(examples).enumerate(),
        input_pipeline.label_condition(6),
        batch_size=4,
        noise_dim=8,
        seed=1,
        drop_remainder=False,
    )
    figures = []
    for strategy in (tf.distribute.get_strategy(), replicas):
        tf.keras.utils.set_random_seed(5)
        with strategy.scope():
            gan = EmoGAN(
                generator=networks.build_generator(model),
                discriminator=networks.build_discriminator(model),
                classifier=networks.build_classifier(model),
                loss=LossConfig(),
                train=settings,
            )
            gan.compile(**{f"{player}_optimizer": training.adam(settings) for player in "gdq"})
        figures.append(gan.evaluate(batches, verbose=0, return_dict=True))
    assert figures[1] == pytest.approx(figures[0], rel=1e-5)
