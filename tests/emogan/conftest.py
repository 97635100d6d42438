"""A generator and a classifier with random weights, exported as two versions of a served model."""

import pytest
import tensorflow as tf

from emogan import networks, serving
from emogan.config import PRESETS, MediaConfig
from emogan.emotions import EMOTIONS


@pytest.fixture(scope="session")
def settings():
    return serving.ServedSettings(
        media=MediaConfig.of_size(64),
        model=PRESETS["tiny"],
        class_names=list(EMOTIONS),
        dataset="crema_d_av/64",
        synthetic=True,
        licences={"crema_d_av/64": "ODbL"},
    )


@pytest.fixture(scope="module")
def generator(settings):
    tf.keras.utils.set_random_seed(2)
    return networks.build_generator(settings.model)


@pytest.fixture(scope="module")
def classifier(settings):
    tf.keras.utils.set_random_seed(3)
    return networks.build_classifier(settings.model)


@pytest.fixture(scope="module")
def exported(generator, classifier, settings, tmp_path_factory):
    """Version 9 without a classifier, version 10 with one."""
    folder = tmp_path_factory.mktemp("emogan")
    serving.save_served(generator, None, settings, folder / "9")
    serving.save_served(generator, classifier, settings, folder / "10")
    return folder
