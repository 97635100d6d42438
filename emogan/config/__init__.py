"""Settings of data, networks and training: frozen dataclasses, validated on construction, with a JSON round trip.

All names can be imported from here. `emogan.config.media` has the settings that determine a dataset's bytes,
`emogan.config.networks` the architecture of G, D and Q, `emogan.config.training` the losses and the training,
`emogan.config.recognisers` the recognisers, and `emogan.config.serialisation` JSON.
"""

from emogan.config.media import (
    FACE_SCALE,
    FACE_SHIFT,
    MIN_FACE_WIDTH,
    SIZES,
    SPECTROGRAMS,
    FaceConfig,
    MediaConfig,
    SpectrogramConfig,
)
from emogan.config.networks import DIRECTIONS, GENERATORS, OF_THE_GAN_ALONE, PRESETS, ModelConfig
from emogan.config.recognisers import BARE, DECAYS, HOP_SECONDS, STARTS, STRONG, AugmentConfig, RecogniserConfig
from emogan.config.serialisation import differences, from_json, to_json
from emogan.config.training import ABLATIONS, ADVERSARIAL_FORMS, PRECISIONS, SELECTIONS, LossConfig, TrainConfig

__all__ = [
    "ABLATIONS",
    "ADVERSARIAL_FORMS",
    "BARE",
    "DECAYS",
    "DIRECTIONS",
    "FACE_SCALE",
    "FACE_SHIFT",
    "GENERATORS",
    "HOP_SECONDS",
    "MIN_FACE_WIDTH",
    "OF_THE_GAN_ALONE",
    "PRECISIONS",
    "PRESETS",
    "SELECTIONS",
    "SIZES",
    "SPECTROGRAMS",
    "STARTS",
    "STRONG",
    "AugmentConfig",
    "FaceConfig",
    "LossConfig",
    "MediaConfig",
    "ModelConfig",
    "RecogniserConfig",
    "SpectrogramConfig",
    "TrainConfig",
    "differences",
    "from_json",
    "to_json",
]
