"""Settings of data, networks and training: frozen dataclasses, validated on construction, with a JSON round trip.

Public names: SpectrogramConfig, FaceConfig, MediaConfig (settings that determine a dataset's bytes), ModelConfig, LossConfig,
AugmentConfig, RecogniserConfig (BARE and STRONG), TrainConfig, the presets, the valid values of settings, `to_json`,
`from_json` and `differences`.
"""

import dataclasses
import json
import math
import typing
from typing import Any, TypeVar

from emogan.errors import UserError, check

HOP_SECONDS = 0.5
"""Default distance between the starts of successive windows of a long recording."""
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


ADVERSARIAL_FORMS = ("non_saturating", "minimax", "least_squares", "hinge", "wasserstein")
"""Adversarial losses of D and G; see `emogan.losses.adversarial_losses` for the formulas."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Forms and weights of the losses, and augmentation of D's and Q's inputs.

    Attributes:
        adversarial: one of `ADVERSARIAL_FORMS`. `minimax` is the paper's Eq. 3; the default is our choice.
        lambda_l1: weight of |y - y'| in G's loss (paper, Eq. 4; the weight is our choice, after Isola et al. 2017).
        lambda_code: weight of |y - G(x | c, E(y))| in G's loss: the L1 distance if the noise is the real image's code, see
            `emogan.codes` (as the cVAE-GAN part of BicycleGAN, Zhu et al. 2017b, with a code that is not learned).
        lambda_q: weight of Q's cross entropy in G's loss; no effect without Q.
        lambda_mismatch: weight, in D's loss, of the adversarial loss with real images and another speaker's source in place
            of generated images (GAN-CLS, Reed et al. 2016); only if D sees the source.
        other_requests: share of labelled examples for which G generates a random emotion instead of the example's own; D
            then does not see the source. Our choice: a face shows the emotion of its clip, so that otherwise G would never
            be trained on other emotions.
        gradient_penalty: weight of the penalty that keeps the norm of D's gradient near 1; only for `wasserstein`.
        r1_gamma: weight gamma of the penalty on D's gradient at real images; 0 for none.
        r1_interval: steps between two such penalties, whose weight is multiplied by it (Karras et al. 2020).
        label_smoothing: s; the label of real images is 1 - s. No effect on `hinge` and `wasserstein`.
        instance_noise: standard deviation of the Gaussian noise on D's image inputs at the first step; decays linearly to 0
            at the last step (Sonderby et al. 2017).
        diff_augment: whether D's image inputs are augmented, see `emogan.perturbation` (Zhao et al. 2020).
        q_augment: whether Q's inputs are augmented in the same way in training.
    """

    adversarial: str = "non_saturating"
    lambda_l1: float = 100.0
    lambda_code: float = 0.0
    lambda_q: float = 1.0
    lambda_mismatch: float = 0.0
    other_requests: float = 0.0
    gradient_penalty: float = 10.0
    r1_gamma: float = 0.0
    r1_interval: int = 1
    label_smoothing: float = 0.0
    instance_noise: float = 0.0
    diff_augment: bool = False
    q_augment: bool = False

    def __post_init__(self) -> None:
        check(
            self.adversarial in ADVERSARIAL_FORMS,
            f"adversarial is {self.adversarial!r}; it must be one of {', '.join(ADVERSARIAL_FORMS)}",
        )
        check(self.r1_interval > 0, f"r1_interval is {self.r1_interval}; it must be positive")
        weights = ("lambda_l1", "lambda_code", "lambda_q", "lambda_mismatch", "gradient_penalty", "r1_gamma")
        for name in (*weights, "instance_noise"):
            check(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; it must not be negative")
        check(0 <= self.other_requests <= 1, f"other_requests is {self.other_requests}; it must be in [0, 1]")
        check(
            0 <= self.label_smoothing < 0.5,
            f"label_smoothing is {self.label_smoothing}; it must be in [0, 0.5), or real images would count as generated",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Label-preserving augmentation of a recogniser's training spectrograms, real and generated.

    Evaluation data are never augmented.

    Attributes:
        time_masks: number of silenced bands of frames (SpecAugment, Park et al. 2019).
        time_mask_share: maximum width of such a band, as a share of all frames; widths are uniform from 0.
        frequency_masks: number of silenced bands of frequency rows.
        frequency_mask_share: maximum width of such a band, as a share of all rows.
        time_shift_share: maximum shift in time, as a share of all frames.
        frequency_shift_share: maximum shift in frequency, as a share of all rows.
        noise_snr_db: lowest signal-to-noise ratio of added white noise, dB; None for no noise.
        mixup: alpha of the Beta distribution of mixup weights (Zhang et al. 2018); 0 for none.
    """

    time_masks: int = 0
    time_mask_share: float = 0.1
    frequency_masks: int = 0
    frequency_mask_share: float = 0.1
    time_shift_share: float = 0.0
    frequency_shift_share: float = 0.0
    noise_snr_db: float | None = None
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name in ("time_shift_share", "frequency_shift_share"):
            check(0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        check(self.mixup >= 0, f"mixup is {self.mixup}; it must not be negative")
        for name in ("time_mask", "frequency_mask"):
            count, share = getattr(self, f"{name}s"), getattr(self, f"{name}_share")
            check(count >= 0, f"{name}s is {count}; it must not be negative")
            check(0 < share <= 1, f"{name}_share is {share}; it must be in (0, 1]")


DECAYS = ("none", "cosine")
"""Schedules of a recogniser's learning rate: constant, or cosine decay to 0 (Loshchilov and Hutter 2017)."""
STARTS = ("random", "discriminator")
"""Initial weights of a recogniser: random, or, for its convolutions, those of the pretrained D."""
SELECTIONS = ("last", "best")
"""Weights that a training returns: the last ones, or those with the best validation metric."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogniserConfig:
    """Regularisation and selection in the training of a recogniser.

    Attributes:
        augment: augmentation of the training examples.
        smoothing: s of label smoothing: a target is 1 - s times itself plus s times the uniform distribution (Szegedy et al.
            2016).
        decay: one of `DECAYS`.
        weights: one of `SELECTIONS`, by validation accuracy.
        balance_classes: whether all classes are drawn equally often.
        start: one of `STARTS`.
        consistency: weight of the loss on unlabelled clips (`emogan.consistency`); 0 for none.
        certainty: minimum probability of a prediction on an unlabelled clip for the clip to be used.
    """

    augment: AugmentConfig = AugmentConfig()
    smoothing: float = 0.0
    decay: str = "none"
    weights: str = "best"
    balance_classes: bool = False
    start: str = "random"
    consistency: float = 0.0
    certainty: float = 0.7

    def __post_init__(self) -> None:
        check(0 <= self.smoothing < 1, f"smoothing is {self.smoothing}; it must be in [0, 1)")
        check(self.consistency >= 0, f"consistency is {self.consistency}; it must not be negative")
        check(0 <= self.certainty < 1, f"certainty is {self.certainty}; it must be in [0, 1)")
        for name, values in (("decay", DECAYS), ("weights", SELECTIONS), ("start", STARTS)):
            value = getattr(self, name)
            check(value in values, f"{name} is {value!r}; it must be one of {', '.join(values)}")


BARE = RecogniserConfig()
"""The paper's recogniser: no augmentation, and the weights of the best validation accuracy."""
STRONG = RecogniserConfig(
    augment=AugmentConfig(time_shift_share=0.1, frequency_shift_share=0.05, mixup=1.0),
    smoothing=0.1,
    decay="cosine",
    weights="last",
)
"""A recogniser regularised against overfitting. Chosen on validation folds, once for all corpora."""


ABLATIONS = ("none", "shuffled_faces", "no_face", "shuffled_labels")
"""Changes of a GAN's training data, to measure the contribution of faces and labels."""


PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
"""Keras's precision policies; half precision is for GPUs and TPUs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one stage of GAN training.

    Attributes:
        steps: number of simultaneous updates of D, Q and G.
        batch_size: global batch size: examples per step, over all replicas.
        learning_rate: Adam's learning rate, for G, D and Q.
        d_learning_rate: a separate learning rate for D (Heusel et al. 2017); 0 for the same.
        beta_1: Adam's decay of the first moment.
        seed: seed of the initial weights, the order of examples and the noise.
        interval: steps between log lines, checkpoints and sample images.
        accumulate: number of sequential parts of a replica's batch, to save memory.
        g_ema: decay of the moving average of G's weights, which is then saved in their place; 0 for none.
        precision: one of `PRECISIONS`; weights and losses are always float32.
        xla: whether the step is compiled by XLA; slower on CPUs.
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 2e-4
    d_learning_rate: float = 0.0
    beta_1: float = 0.5
    seed: int = 1
    interval: int = 500
    accumulate: int = 1
    g_ema: float = 0.0
    precision: str = "float32"
    xla: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "interval", "accumulate"):
            check(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be positive")
        check(
            self.steps % self.interval == 0,
            f"steps is {self.steps}; it must be a multiple of the interval {self.interval}",
        )
        check(0 <= self.seed < 2**32, f"seed is {self.seed}; it must be between 0 and {2**32 - 1:,}")
        check(self.learning_rate > 0, f"learning_rate is {self.learning_rate}; it must be positive")
        check(self.d_learning_rate >= 0, f"d_learning_rate is {self.d_learning_rate}; it must not be negative")
        for name in ("beta_1", "g_ema"):
            check(0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        check(
            self.batch_size % self.accumulate == 0,
            f"batch_size is {self.batch_size}; it must be a multiple of accumulate, {self.accumulate}",
        )
        check(
            self.precision in PRECISIONS, f"precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}"
        )


T = TypeVar("T")


def to_json(config: Any) -> str:
    """Returns one of this module's dataclasses as JSON text, for `from_json`."""
    return json.dumps(dataclasses.asdict(config), indent=2)


def from_json(cls: type[T], text: str) -> T:
    """Reads text of `to_json`. Raises UserError if it is not JSON, or does not fit the fields of `cls`."""
    try:
        return _from_dict(cls, json.loads(text))
    except (json.JSONDecodeError, TypeError, AttributeError) as error:
        raise UserError(f"not the JSON of a {cls.__name__}: {error}") from error


def differences(one: Any, other: Any) -> str:
    """Lists the settings in which two configurations of a class differ, as `name: one, other`; empty if equal."""
    pairs = ((f.name, getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    return "; ".join(
        f"{name}.{differences(a, b)}" if dataclasses.is_dataclass(a) else f"{name}: {a}, {b}"
        for name, a, b in pairs
        if a != b
    )


def _from_dict(cls: type[T], values: dict[str, Any]) -> T:
    hints = typing.get_type_hints(cls)
    unknown = set(values) - set(hints)
    check(not unknown, f"{cls.__name__} has no setting {', '.join(sorted(unknown))}; it was written by another version")
    missing = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING} - set(values)  # type: ignore[arg-type]
    check(
        not missing, f"{cls.__name__} lacks the setting {', '.join(sorted(missing))}; it was written by another version"
    )
    return cls(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    inner = [one for one in (hint, *typing.get_args(hint)) if isinstance(one, type) and dataclasses.is_dataclass(one)]
    return _from_dict(inner[0], value) if inner and value is not None else value
