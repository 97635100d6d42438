"""The networks: shape of G, D and Q."""

from absl import flags

from emogan.config import DIRECTIONS, GENERATORS, PRESETS
from trainers.runs.config import DEFAULTS, PRESET, recipe


def by_generator(name: str) -> str:
    """What help says of a flag that has no default of its own: what it is for each generator."""
    found = []
    for one in GENERATORS:
        usual = recipe(one)[name]
        reverse = recipe(one, direction="sound_to_face")[name]
        found.append(f"{usual} ({one})" if reverse == usual else f"{usual} ({one}; {reverse} where faces are made)")
    return f"Default: {', '.join(found)}."


flags.DEFINE_enum("preset", PRESET, list(PRESETS), "Shape of G, D and Q, and the picture size.")
flags.DEFINE_enum("direction", DEFAULTS["direction"], DIRECTIONS, "What is generated from what.")
flags.DEFINE_enum(
    "generator",
    DEFAULTS["generator"],
    GENERATORS,
    "The paper's U-Net, or one that is made for many different draws of one face; other settings depend on it.",
)
flags.DEFINE_integer("noise_dim", None, f"Length of the noise. {by_generator('noise_dim')}")
flags.DEFINE_bool(
    "spectral_norm",
    DEFAULTS["spectral_norm"],
    "Divide the kernels of D's convolutions by their largest singular values.",
)
flags.DEFINE_bool(
    "d_sees_source",
    None,
    f"Show D the source beside what it judges: the face beside the spectrogram. {by_generator('d_sees_source')}",
)
