"""A batch for small GANs; a generator and a classifier with random weights, exported as versions of a served model."""

import dataclasses

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from skimage.io import imsave
from small_gans import BATCH, SMALL

from emogan import networks
from emogan.config import PRESETS, MediaConfig
from emogan.emotions import EMOTIONS
from emogan.serving import signatures


@pytest.fixture
def batch(rng):
    source = rng.uniform(-1, 1, (BATCH, 16, 16, 3)).astype("f")
    return {
        "source": source,
        "target": rng.uniform(-1, 1, (BATCH, 16, 16, 1)).astype("f"),
        "condition": np.eye(6, dtype="f")[[0, 3, 5, 1]],
        "noise": rng.uniform(-1, 1, (BATCH, SMALL.noise_dim)).astype("f"),
        "key": np.array([[1, number] for number in range(BATCH)], np.int64),
        "other_source": np.roll(source, 1, 0),
        "other_speaker": np.array([1, 1, 0, 1], np.float32),
    }


@pytest.fixture(scope="session")
def settings():
    return signatures.ServedSettings(
        media=MediaConfig.of_size(64),
        model=dataclasses.replace(PRESETS["tiny"], generator="modulated"),
        class_names=list(EMOTIONS),
        dataset="crema_d_av/64",
        synthetic=True,
        licences={"crema_d_av/64": "ODbL"},
        recogniser=signatures.RecogniserCard(
            name="strong", trained_on="real", speakers=24, validation_accuracy=0.6, accuracy=0.5, low=0.45,
            high=0.55, test_speakers=12,
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def generator(settings):
    tf.keras.utils.set_random_seed(2)
    return networks.build_generator(settings.model)


@pytest.fixture(scope="session")
def classifier(settings):
    tf.keras.utils.set_random_seed(3)
    return networks.build_classifier(settings.model)


@pytest.fixture(scope="session")
def exported(generator, classifier, settings, shared):
    """Version 8 without a generator, version 9 without a classifier, version 10 with both."""
    alone = dataclasses.replace(settings, generates=False), dataclasses.replace(settings, recogniser=None)

    def build(folder):
        signatures.save_served(None, classifier, alone[0], folder / "8")
        signatures.save_served(generator, None, alone[1], folder / "9")
        signatures.save_served(generator, classifier, settings, folder / "10")

    return shared("exported", build)


@pytest.fixture(scope="session")
def inputs_of(exported):
    """Returns the inputs of a signature, two rows; the second file of a face is not an image."""
    rng = np.random.default_rng(1)
    png = tf.io.encode_png(rng.integers(0, 255, (64, 64, 3), np.uint8)).numpy()
    inputs = {
        "aligned_face_bytes": np.array([png, b"no image"], object),
        "emotion": np.array([b"happy", b"bored"], object),
        "seed": np.array([3, -4], np.int64),
        "emotion_probabilities": np.full((2, 6), 1 / 6, np.float32),
        "face": rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32),
        "condition": np.eye(6, dtype=np.float32)[:2],
        "noise": rng.uniform(-1, 1, (2, PRESETS["tiny"].noise_dim)).astype(np.float32),
        "spectrogram": rng.uniform(-1, 1, (2, 64, 64, 1)).astype(np.float32),
        "samples": rng.uniform(-0.5, 0.5, (2, 40_960)).astype(np.float32),
        "row": np.zeros(2, np.int64),
    }
    served = signatures.LocalModel(exported).signatures
    return lambda name: {key: inputs[key] for key in served[name].structured_input_signature[1]}


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """A photograph with a face."""
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    imsave(path, skimage.data.astronaut())
    return path
