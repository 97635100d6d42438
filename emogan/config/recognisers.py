"""Settings of recognisers: AugmentConfig, RecogniserConfig, the two recognisers BARE and STRONG, and the choices."""

import dataclasses

from emogan.config.training import SELECTIONS
from emogan.errors import check


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


HOP_SECONDS = 0.5
"""Default distance between the starts of successive windows of a long recording."""
DECAYS = ("none", "cosine")
"""Schedules of a recogniser's learning rate: constant, or cosine decay to 0 (Loshchilov and Hutter 2017)."""
STARTS = ("random", "discriminator")
"""Initial weights of a recogniser: random, or, for its convolutions, those of the pretrained D."""


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
