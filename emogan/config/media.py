"""Settings that determine the bytes of a dataset: SpectrogramConfig, FaceConfig, MediaConfig; SPECTROGRAMS and SIZES."""

import dataclasses
import math

from emogan.errors import check

SIZES = (64, 128, 256)
"""Possible sides of a dataset's square images, pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectrogramConfig:
    """How audio becomes an image: 2.56 s in the presets, exactly `size` frames, decibels relative to a full-scale sine.

    Attributes:
        size: S, the number of frames and of frequency rows.
        sample_rate: samples per second of the mono audio.
        window_samples: length of the periodic Hann window and of the Fourier transform, samples.
        hop_samples: distance between successive frames, samples.
        mel_bands: number of mel bands (Slaney scale, no norm, 0 to half the sample rate), or None for the lowest `size` bins
            of the linear power spectrum.
        floor_db: level that maps to -1, also that of silence, dB relative to a full-scale sine.
        ceiling_db: level that maps to +1, dB relative to a full-scale sine.
        per_clip_maximum: if true, each clip's loudest pixel is moved to `ceiling_db`, which removes loudness.
    """

    size: int
    sample_rate: int = 16_000
    window_samples: int
    hop_samples: int
    mel_bands: int | None
    floor_db: float = -110.0
    ceiling_db: float = -10.0
    per_clip_maximum: bool = False

    def __post_init__(self) -> None:
        check(self.size > 0, f"size is {self.size}; it must be positive")
        check(
            0 < self.hop_samples <= self.window_samples and (self.window_samples - self.hop_samples) % 2 == 0,
            f"window_samples is {self.window_samples} and hop_samples {self.hop_samples}; the hop must be between 1 and "
            "window_samples, with an even difference",
        )
        check(self.floor_db < self.ceiling_db, f"floor_db {self.floor_db} must be below ceiling_db {self.ceiling_db}")
        if self.mel_bands is None:
            check(
                self.size <= self.window_samples // 2 + 1,
                f"size {self.size} exceeds the {self.window_samples // 2 + 1} bins of a window of {self.window_samples}",
            )
        else:
            check(self.mel_bands == self.size, f"mel_bands {self.mel_bands} must equal size {self.size}")

    @property
    def clip_samples(self) -> int:
        """Length of the audio that one image shows, samples (40,960 for the presets: 2.56 s)."""
        return self.size * self.hop_samples

    @property
    def pad_samples(self) -> int:
        """Zeros added on each side of the audio, so that `clip_samples` give exactly `size` frames."""
        return (self.window_samples - self.hop_samples) // 2


SPECTROGRAMS: dict[int, SpectrogramConfig] = {
    64: SpectrogramConfig(size=64, window_samples=2048, hop_samples=640, mel_bands=64),
    128: SpectrogramConfig(size=128, window_samples=1024, hop_samples=320, mel_bands=128),
    256: SpectrogramConfig(size=256, window_samples=512, hop_samples=160, mel_bands=None),
}
"""Spectrogram settings by size: linear at 256, as in the paper's figures, else mel bands, which fit better."""


FACE_SCALE, FACE_SHIFT = 1.1, -0.14
"""Alignment template of all datasets: forehead to chin, within VoxCeleb2's face tracks, which end at the hairline. Our choice.
(The defaults of `FaceConfig` are the template of models exported before 1.1, which extends above the tracks.)"""
MIN_FACE_WIDTH = 32.0
"""Default minimum width of a face in a new dataset, pixels. Our choice, see docs/decisions.md."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceConfig:
    """How a frame becomes a face image.

    Attributes:
        size: S, the side of the square RGB image, pixels.
        scale: size of the five-point template within the image; 1 is ArcFace's, smaller values show more around the face.
        vertical_shift: shift of the template from the centre, as a share of the side; negative is up.
        min_confidence: minimum of MTCNN's confidence for a face.
        detection_side: longer side to which larger frames are downscaled before detection, pixels.
        search_frames: maximum distance from the middle frame of a frame that is searched for a face, frames.
        min_width: minimum width of a face in its frame, pixels. It selects clips and does not change their images, so
            configurations that differ only in it compare equal.
    """

    size: int
    scale: float = 0.9
    vertical_shift: float = 0.0
    min_confidence: float = 0.9
    detection_side: int = 320
    search_frames: int = 10
    min_width: float = dataclasses.field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        check(self.size > 0, f"size is {self.size}; it must be positive")
        check(0.3 <= self.scale <= 1.2, f"scale is {self.scale}; it must be between 0.3 and 1.2")
        check(
            -0.3 <= self.vertical_shift <= 0.3,
            f"vertical_shift is {self.vertical_shift}; it must be between -0.3 and 0.3",
        )
        check(0 < self.min_confidence < 1, f"min_confidence is {self.min_confidence}; it must be between 0 and 1")
        check(self.detection_side >= 96, f"detection_side is {self.detection_side}; MTCNN needs at least 96 pixels")
        check(self.search_frames >= 0, f"search_frames is {self.search_frames}; it must not be negative")
        check(0 <= self.min_width < math.inf, f"min_width is {self.min_width}; it must be 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaConfig:
    """All settings that determine a dataset's bytes; stored in the dataset's metadata and in every model."""

    spectrogram: SpectrogramConfig
    face: FaceConfig

    def __post_init__(self) -> None:
        check(
            self.spectrogram.size == self.face.size,
            f"spectrogram size {self.spectrogram.size} and face size {self.face.size} must be equal",
        )

    @property
    def size(self) -> int:
        """S, the side of faces and spectrograms, pixels."""
        return self.face.size

    def with_min_face_width(self, pixels: float) -> "MediaConfig":
        """Returns a copy with another `FaceConfig.min_width`. Raises UserError if it is negative."""
        return dataclasses.replace(self, face=dataclasses.replace(self.face, min_width=pixels))

    @classmethod
    def of_size(cls, size: int) -> "MediaConfig":
        """Returns the standard settings of a size in `SIZES`. Raises UserError for others."""
        check(size in SPECTROGRAMS, f"size is {size}; it must be one of {', '.join(map(str, SIZES))}")
        face = FaceConfig(size=size, scale=FACE_SCALE, vertical_shift=FACE_SHIFT, min_width=MIN_FACE_WIDTH)
        return cls(spectrogram=SPECTROGRAMS[size], face=face)
