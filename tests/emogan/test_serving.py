import numpy as np
import pytest
import tensorflow as tf

from emogan import networks, serving
from emogan.config import PRESETS, MediaConfig
from emogan.emotions import EMOTIONS
from emogan.errors import UserError

TINY = PRESETS["tiny"]
SETTINGS = serving.ServedSettings(
    media=MediaConfig.of_size(64), model=TINY, class_names=list(EMOTIONS), dataset="crema_d_av/64", synthetic=True
)


@pytest.fixture(scope="module")
def generator():
    tf.keras.utils.set_random_seed(2)
    return networks.build_generator(TINY)


@pytest.fixture(scope="module")
def exported(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("emogan")
    serving.save_served(generator, SETTINGS, folder / "9")
    serving.save_served(generator, SETTINGS, folder / "10")
    return folder


@pytest.fixture
def request_of_three(rng):
    pictures = rng.integers(0, 255, (3, 64, 64, 3), np.uint8)
    return pictures, {
        "aligned_face_bytes": tf.stack([tf.io.encode_png(picture) for picture in pictures]),
        "emotion": tf.constant(["happy", "sad", "anger"]),
        "seed": tf.constant([4, 4, -1], tf.int64),
    }


def test_the_signature_gives_what_the_network_gives(generator, exported, request_of_three):
    pictures, request = request_of_three
    served, settings = serving.load_served(exported)
    assert settings == SETTINGS
    answer = served.signatures["serving_default"](**request)
    noise = [tf.random.stateless_uniform([16], [seed, 0], -1.0, 1.0) for seed in (4, 4, -1)]
    condition = np.eye(6, dtype=np.float32)[[EMOTIONS.index(e) for e in ("happy", "sad", "anger")]]
    expected = generator([pictures.astype(np.float32) / 127.5 - 1, condition, tf.stack(noise)])
    np.testing.assert_allclose(answer["spectrogram"], expected, atol=1e-5)
    assert list(answer["error"].numpy()) == [b"", b"", b""]


def test_a_row_does_not_depend_on_its_neighbours(exported, request_of_three):
    served, _ = serving.load_served(exported)
    together = served.signatures["serving_default"](**request_of_three[1])["spectrogram"]
    alone = served.signatures["serving_default"](**{k: v[1:2] for k, v in request_of_three[1].items()})["spectrogram"]
    np.testing.assert_allclose(alone[0], together[1], atol=1e-5)


def test_an_unknown_emotion_is_told_in_its_row_and_the_others_are_served(exported, request_of_three):
    served, _ = serving.load_served(exported)
    request = request_of_three[1] | {"emotion": tf.constant(["happy", "bored", "anger"])}
    answer = served.signatures["serving_default"](**request)
    assert answer["error"][1].numpy().startswith(b"unknown emotion bored; it must be one of anger, disgust")
    assert list(answer["error"].numpy()[[0, 2]]) == [b"", b""]
    np.testing.assert_array_equal(answer["spectrogram"][1], np.full((64, 64, 1), -1))
    assert np.std(answer["spectrogram"][0]) > 0


def test_the_newest_version_is_taken_by_number(exported):
    (exported / "10" / "assets.extra" / "emogan.json").rename(exported / "moved.json")
    try:
        with pytest.raises(UserError, match="no exported generator"):
            serving.load_served(exported)
    finally:
        (exported / "moved.json").rename(exported / "10" / "assets.extra" / "emogan.json")
    serving.load_served(exported / "9")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"trainers\.export"):
        serving.load_served(tmp_path)
    with pytest.raises(UserError, match="no exported generator"):
        serving.load_served(tmp_path / "nowhere")
