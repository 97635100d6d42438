"""Settings of the architecture of G, D and Q: ModelConfig, PRESETS, and the choices GENERATORS and DIRECTIONS."""

import dataclasses

from emogan.errors import check

GENERATORS = ("unet", "modulated")
"""The paper's generator, and one for diverse images of one source. Each has its own discriminator."""
DIRECTIONS = ("face_to_audio", "audio_to_face")
"""Modality of the source and of the target."""
OF_THE_GAN_ALONE = ("generator", "noise_dim", "spectral_norm", "d_sees_source")
"""Fields of `ModelConfig` that do not affect classifiers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Architecture of G, D and Q.

    Attributes:
        generator: one of `GENERATORS`.
        size: S, the side of faces and spectrograms, pixels; a power of two.
        base_filters: channels of each network's first convolution; deeper ones have up to 8 times as many.
        noise_dim: d, the length of the noise z.
        num_classes: length of the condition c, and number of Q's outputs.
        spectral_norm: whether D's convolutions use spectral normalisation.
        d_sees_source: whether the source is an input of D.
        direction: one of `DIRECTIONS`.
    """

    generator: str = "unet"
    size: int
    base_filters: int
    noise_dim: int = 100
    num_classes: int = 6
    spectral_norm: bool = False
    d_sees_source: bool = False
    direction: str = "face_to_audio"

    def filters(self, level: int) -> int:
        """Number of channels of feature maps of side size / 2^(level + 1) in encoders, or size / 2^level in decoders."""
        return self.base_filters * min(2**level, 8)

    def __post_init__(self) -> None:
        check(
            self.size >= 16 and self.size & (self.size - 1) == 0,
            f"size is {self.size}; it must be a power of two, 16 or more",
        )
        check(
            self.base_filters > 0 and self.base_filters % 4 == 0,
            f"base_filters is {self.base_filters}; it must be a positive multiple of 4 (group normalisation)",
        )
        check(self.noise_dim > 0, f"noise_dim is {self.noise_dim}; it must be positive")
        check(self.num_classes > 1, f"num_classes is {self.num_classes}; it must be at least 2")
        for name, values in (("direction", DIRECTIONS), ("generator", GENERATORS)):
            value = getattr(self, name)
            check(value in values, f"{name} is {value!r}; it must be one of {', '.join(values)}")


PRESETS: dict[str, ModelConfig] = {
    "tiny": ModelConfig(size=64, base_filters=4),
    "64": ModelConfig(size=64, base_filters=16),
    "128": ModelConfig(size=128, base_filters=64),
    "paper": ModelConfig(size=256, base_filters=64),
}
"""Named architectures. `paper` has more than 50 million trainable parameters in G, D and Q."""
