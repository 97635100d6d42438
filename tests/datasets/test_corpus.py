"""A built dataset: reading, caching, balancing."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import datasets
from datasets.corpus import open_corpus
from emogan.config import MediaConfig
from emogan.emotions import EMOTIONS
from emogan.errors import UserError

TRAIN = "fold_2+fold_3+fold_4"
"""Of crema_d_av, when fold 0 is tested: 18 examples of 3 speakers."""


@pytest.fixture(scope="module")
def corpus(tiny_data):
    return open_corpus("crema_d_av", tiny_data, "64")


def test_attributes_of_a_corpus(corpus):
    assert corpus.media == MediaConfig.of_size(64)
    assert corpus.class_names == EMOTIONS
    assert corpus.synthetic
    assert corpus.count("fold_0+fold_1") == 12


def test_examples_and_arrays_have_the_promised_types(corpus):
    arrays = corpus.arrays("fold_0")
    assert arrays["face"].dtype == np.uint8
    assert arrays["face"].shape == (6, 64, 64, 3)
    assert arrays["spectrogram"].dtype == np.float32
    assert arrays["spectrogram"].shape == (6, 64, 64, 1)
    assert sorted(arrays["label"]) == [0, 1, 2, 3, 4, 5]
    assert set(arrays["speaker_id"]) == {"1001"}
    by_code = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
    assert [EMOTIONS[label] for label in arrays["label"]] == [by_code[clip[9:12]] for clip in arrays["clip_id"]]


@pytest.mark.parametrize("balance", [False, True])
def test_a_stream_reads_the_disk_once_if_its_examples_fit_into_memory(tiny_data, tmp_path, balance):
    shutil.copytree(tiny_data / "crema_d_av", tmp_path / "crema_d_av")
    corpus = open_corpus("crema_d_av", tmp_path, "64")
    stream = corpus.stream(TRAIN, batch_size=1, seed=1, balance=balance)
    assert (stream.element_spec[1]["face"].dtype, stream.element_spec[1]["spectrogram"].dtype) == (tf.uint8, tf.float16)
    iterator = iter(stream)
    first = [next(iterator)[1]["clip_id"].numpy() for _ in range(18)]
    files = list(tmp_path.glob("crema_d_av/64/*/*.tfrecord*"))
    assert files
    for path in files:
        path.unlink()
    assert [sorted(next(iterator)[1]["clip_id"].numpy() for _ in range(18)) for _ in range(3)] == [sorted(first)] * 3


def test_cached_examples_equal_uncached_ones(corpus):
    uncached, cached = corpus.examples("fold_0"), corpus.examples("fold_0", cache=True)
    assert cached.element_spec == uncached.element_spec
    assert (cached.element_spec["face"].dtype, cached.element_spec["spectrogram"].dtype) == (tf.uint8, tf.float16)
    for _ in range(2):
        for a, b in zip(uncached.as_numpy_iterator(), cached.as_numpy_iterator(), strict=True):
            np.testing.assert_array_equal(a["face"], b["face"])
    assert "face" not in corpus.examples("fold_0", images=["spectrogram"]).element_spec


@pytest.fixture(scope="module")
def unbalanced(tiny_corpora, tiny_data, tmp_path_factory):
    """crema_d_av without most anger and all fear of the training speakers, from cached clips."""
    folder = tmp_path_factory.mktemp("unbalanced")
    shutil.copytree(tiny_corpora / "crema_d", folder / "corpus")
    for pattern in ("103*_ANG_*", "105*_ANG_*", "103*_FEA_*", "105*_FEA_*", "107*_FEA_*"):
        for path in (folder / "corpus").glob(f"*/{pattern}"):
            path.unlink()
    builder = datasets.BUILDERS["crema_d_av"](data_dir=folder, config="64", store_dir=tiny_data / "clips")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder / "corpus"))
    return open_corpus("crema_d_av", folder, "64")


def test_balanced_streams_have_every_class_equally_often(unbalanced):
    split = "fold_0+fold_3+fold_4"
    assert unbalanced.class_counts(split) == [2, 3, 1, 3, 3, 3]
    labels = {}
    for balance in (False, True):
        stream = unbalanced.stream(split, batch_size=5, seed=2, balance=balance)
        labels[balance] = [int(example["label"]) for _, example in stream.take(60)]
    assert np.bincount(labels[False]).tolist() == [8, 12, 4, 12, 12, 12]  # four passes
    assert np.bincount(labels[True]).tolist() == [10] * 6
    later = unbalanced.stream(split, batch_size=5, seed=2, balance=True, first_step=4)
    assert [(int(n), int(example["label"])) for n, example in later.take(40)] == list(enumerate(labels[True]))[20:]


def test_a_class_without_examples_cannot_be_balanced(unbalanced):
    with pytest.raises(
        UserError, match=r"fold_3\+fold_4 of crema_d_av/64 has no example of fear, .* --balance_classes"
    ):
        unbalanced.stream("fold_3+fold_4", batch_size=4, seed=1, balance=True)


def test_a_missing_dataset_is_reported_with_the_command_that_builds_it(tmp_path):
    with pytest.raises(UserError, match=r"trainers\.prepare --dataset=crema_d_av --config=64") as caught:
        open_corpus("crema_d_av", tmp_path, "64")
    assert "only version" not in str(caught.value)


def test_a_dataset_of_an_older_version_is_not_read(tiny_data, tmp_path):
    shutil.copytree(tiny_data / "crema_d_av", tmp_path / "crema_d_av")
    folder = tmp_path / "crema_d_av" / "64"
    (folder / str(datasets.BUILDERS["crema_d_av"].VERSION)).rename(folder / "1.0.0")
    with pytest.raises(UserError, match=r"only version 1\.0\.0, .*trainers\.prepare --dataset=crema_d_av") as caught:
        open_corpus("crema_d_av", tmp_path, "64")
    assert "\n" not in str(caught.value)
