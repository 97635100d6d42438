"""Fixtures for all tests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)  # two virtual devices, for the tests of MirroredStrategy; all others run on the first


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
