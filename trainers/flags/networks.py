"""The networks: architecture of G, D and Q."""

from absl import flags

from emogan.config import DIRECTIONS, GENERATORS, PRESETS
from trainers.runs.config import DEFAULTS, PRESET, recipe


def by_generator(name: str) -> str:
    """Help text for a flag whose default depends on the generator."""
    texts = []
    for generator in GENERATORS:
        default = recipe(generator)[name]
        reverse = recipe(generator, direction="audio_to_face")[name]
        when = generator if reverse == default else f"{generator}; {reverse} when faces are generated"
        texts.append(f"{default} ({when})")
    return f"Default: {', '.join(texts)}."


flags.DEFINE_enum("preset", PRESET, list(PRESETS), "Size of G, D and Q, and the image size.")
flags.DEFINE_enum(
    "direction", DEFAULTS["direction"], DIRECTIONS, "Generate spectrograms from faces, or faces from audio."
)
flags.DEFINE_enum(
    "generator",
    DEFAULTS["generator"],
    GENERATORS,
    "The paper's U-Net, or the modulated generator, designed for diverse samples of one face; other defaults depend on it.",
)
flags.DEFINE_integer("noise_dim", None, f"Length of the noise vector. {by_generator('noise_dim')}")
flags.DEFINE_bool(
    "spectral_norm",
    DEFAULTS["spectral_norm"],
    "Spectral normalisation: divide the kernels of D's convolutions by their largest singular values.",
)
flags.DEFINE_bool(
    "d_sees_source",
    None,
    f"Condition D on G's input: D sees the face with the spectrogram. {by_generator('d_sees_source')}",
)
