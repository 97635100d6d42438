"""The networks: shape of G, D and Q."""

from absl import flags

from emogan.config import DIRECTIONS, GENERATORS, PRESETS

flags.DEFINE_enum("preset", "64", list(PRESETS), "Shape of G, D and Q, and the picture size.")
flags.DEFINE_enum("direction", "face_to_sound", DIRECTIONS, "What is generated from what.")
flags.DEFINE_enum(
    "generator", "unet", GENERATORS, "The paper's U-Net, or one that is made for many different draws of one face."
)
flags.DEFINE_integer("noise_dim", None, "Length of the noise; by default the preset's.")
flags.DEFINE_bool("spectral_norm", False, "Divide D's kernels by their largest singular values.")
flags.DEFINE_bool("d_sees_source", False, "Show D the face beside the spectrogram it judges.")
