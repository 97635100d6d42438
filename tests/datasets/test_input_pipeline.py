import numpy as np
import pytest
import tensorflow as tf

from datasets import input_pipeline
from emogan.config import MediaConfig
from emogan.emotions import EMOTIONS
from emogan.errors import UserError


@pytest.fixture(scope="module")
def corpus(minute_data):
    return input_pipeline.open_corpus("crema_d_av", minute_data, "64")


def stream(first_step, count=10, batch_size=4, seed=3):
    dataset = tf.data.Dataset.range(100, 100 + count)
    return input_pipeline.epochs(dataset, count, batch_size=batch_size, seed=seed, first_step=first_step)


def take(dataset, n):
    return [(int(number), int(item)) for number, item in dataset.take(n)]


def test_a_stream_from_step_k_is_the_whole_streams_rest():
    whole = take(stream(0), 60)
    assert [number for number, _ in whole] == list(range(60))
    for step in (1, 5, 7, 11):  # within a pass, and just at the seam of passes
        assert take(stream(step), 60 - 4 * step) == whole[4 * step :]


def test_each_pass_has_every_example_once_in_an_order_of_its_own():
    items = [item for _, item in take(stream(0), 40)]
    passes = [items[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(one) == list(range(100, 110)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    assert [item for _, item in take(stream(0, seed=4), 10)] != passes[0]


def test_noise_is_uniform_and_follows_from_seed_and_number():
    draw = [input_pipeline.noise(1, tf.constant(n, tf.int64), 500).numpy() for n in range(20)]
    np.testing.assert_array_equal(draw[3], input_pipeline.noise(1, tf.constant(3, tf.int64), 500))
    assert np.abs(draw[3] - input_pipeline.noise(2, tf.constant(3, tf.int64), 500)).max() > 0.1
    values = np.stack(draw)
    assert values.min() >= -1
    assert values.max() < 1
    assert abs(values.mean()) < 0.03  # 10,000 draws of deviation 0.577
    assert values.std() == pytest.approx(np.sqrt(1 / 3), rel=0.03)


def test_protocol_tests_a_fold_validates_on_the_next_and_trains_on_the_rest(corpus):
    assert corpus.protocol(0) == input_pipeline.Protocol(
        train="fold_2+fold_3+fold_4", validation="fold_1", test="fold_0"
    )
    assert corpus.protocol(4).validation == "fold_0"
    with pytest.raises(UserError, match=r"\[0, 1, 2, 3, 4\]"):
        corpus.protocol(5)


@pytest.mark.parametrize("fold", range(5))
def test_no_speaker_is_on_two_sides(corpus, fold):
    protocol = corpus.protocol(fold)
    sides = [protocol.train, protocol.validation, protocol.test]
    speakers = [set(input_pipeline.load_arrays(corpus, split)["speaker_id"]) for split in sides]
    assert [len(side) for side in speakers] == [3, 1, 1]
    assert len(set.union(*speakers)) == 5


def test_the_corpus_knows_how_it_was_made(corpus):
    assert corpus.media == MediaConfig.of_size(64)
    assert corpus.class_names == EMOTIONS
    assert corpus.synthetic
    assert corpus.count("fold_0+fold_1") == 12


def test_examples_and_arrays_have_the_promised_types(corpus):
    arrays = input_pipeline.load_arrays(corpus, "fold_0")
    assert arrays["face"].dtype == np.uint8
    assert arrays["face"].shape == (6, 64, 64, 3)
    assert arrays["spectrogram"].dtype == np.float32
    assert arrays["spectrogram"].shape == (6, 64, 64, 1)
    assert sorted(arrays["label"]) == [0, 1, 2, 3, 4, 5]
    assert set(arrays["speaker_id"]) == {"1001"}
    by_code = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
    assert [EMOTIONS[label] for label in arrays["label"]] == [by_code[clip[9:12]] for clip in arrays["clip_id"]]


def test_gan_batches_pair_face_voice_condition_and_noise_of_one_example(corpus):
    numbered = corpus.examples("fold_0").enumerate()
    condition = input_pipeline.label_condition(6)
    batches = list(
        input_pipeline.gan_batches(numbered, condition, batch_size=4, noise_dim=5, seed=9, drop_remainder=False)
    )
    arrays = input_pipeline.load_arrays(corpus, "fold_0")
    joined = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    np.testing.assert_allclose(joined["source"], arrays["face"] / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(joined["target"], arrays["spectrogram"])
    np.testing.assert_array_equal(joined["condition"], np.eye(6)[arrays["label"]])
    np.testing.assert_array_equal(joined["noise"][5], input_pipeline.noise(9, tf.constant(5, tf.int64), 5))


def test_pretraining_has_the_null_condition_and_needs_no_labels(minute_data):
    voxceleb = input_pipeline.open_corpus("voxceleb_av", minute_data, "64")
    assert voxceleb.class_names == ()
    training, watched = voxceleb.unlabelled_splits()
    numbered = voxceleb.examples(training).enumerate()
    batch = next(
        iter(input_pipeline.gan_batches(numbered, input_pipeline.null_condition(6), batch_size=2, noise_dim=5, seed=9))
    )
    np.testing.assert_array_equal(batch["condition"], np.zeros((2, 6)))
    assert voxceleb.count(watched) > 0


def test_mixed_batches_take_their_share_of_each_source():
    real, made = (tf.data.Dataset.range(start, start + 10).map(lambda x: (x, -x)) for start in (0, 100))
    whole = list(input_pipeline.mixed_batches([real, made], [3, 1], 10, seed=1).take(9).as_numpy_iterator())
    for items, negated in whole:
        assert [(item >= 100) for item in items] == [False, False, False, True]
        np.testing.assert_array_equal(items, -negated)
    later = list(
        input_pipeline.mixed_batches([real, made], [3, 1], 10, seed=1, first_step=4).take(5).as_numpy_iterator()
    )
    np.testing.assert_array_equal([items for items, _ in later], [items for items, _ in whole[4:]])


def test_a_dataset_that_was_not_built_is_named_with_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"trainers\.prepare --dataset=crema_d_av --config=64"):
        input_pipeline.open_corpus("crema_d_av", tmp_path, "64")
