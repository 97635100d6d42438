"""VoxCeleb2 and VoxCeleb1: pairs of a face and a spectrogram."""

import sys

if __name__ == "voxceleb_av":  # imported by `tfds build`, which replaces our package by a placeholder
    sys.modules.pop("datasets", None)
