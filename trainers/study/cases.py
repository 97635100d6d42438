"""What is compared in a study: `Case`, `CASES`, by name and in the order of the table, and `GROUPS`.

A case is a way to train a recogniser, told as changes of a run's settings.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

GROUPS = {
    "paper": "The paper's cases",
    "without_q": "The same without Q",
    "controls": "Without a GAN, or with more than it",
    "spoilt": "GANs without a part of what they need",
}
"""Groups of cases, and their headings."""

_SPEC_AUGMENT = {"time_masks": 2, "frequency_masks": 2}
_BEST = "progressive_supervised"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One way to train a recogniser.

    Attributes:
        name: its folder's name.
        title: its name in tables.
        group: one of `GROUPS`.
        changes: settings of a `RunConfig` in which it differs from the study's; of `augment`, those of an `AugmentConfig`.
        generator_of: the case whose calibrated networks it uses, instead of training some.
        about: what it is, for a reader who did not run it.
    """

    name: str
    title: str
    group: str
    changes: Mapping[str, Any]
    generator_of: str = ""
    about: str = ""


def _gan_cases() -> list[Case]:
    found = []
    for use_classifier, schedule, condition in itertools.product(
        (True, False), ("moderate", "progressive"), ("label", "face")
    ):
        supervision = "supervised" if condition == "label" else "semi-supervised"
        start = "calibrated after pretraining" if schedule == "progressive" else "trained on the labelled corpus alone"
        emotion = (
            "the clip's label" if condition == "label" else "what a face classifier, cross-fitted, reads in the face"
        )
        found.append(
            Case(
                name=f"{schedule}_{supervision.replace('-', '_')}" + ("" if use_classifier else "_without_q"),
                title=f"{schedule} {supervision}" + ("" if use_classifier else " without Q"),
                group="paper" if use_classifier else "without_q",
                changes={"schedule": schedule, "condition": condition, "use_classifier": use_classifier},
                about=f"real and generated; the GAN {start}, its condition {emotion}"
                + ("" if use_classifier else "; no Q"),
            )
        )
    return found


def _augmented(name: str, title: str, about: str, **changes: Any) -> Case:
    return Case(name=name, title=title, group="controls", changes={"schedule": "none", **changes}, about=about)


def _spoilt(control: str, title: str, about: str) -> Case:
    changes = {"schedule": "moderate", "control": control}
    return Case(name=control, title=title, group="spoilt", changes=changes, about=about)


_ALL = [
    Case(
        name="baseline", title="baseline", group="paper", changes={"schedule": "none"},
        about="the recogniser trained on real spectrograms as they are",
    ),
    *_gan_cases(),
    _augmented("oversampling", "oversampling", "real, every emotion drawn equally often", balance_classes=True),
    _augmented(
        "spec_augment", "SpecAugment", "real, two time and two frequency masks of up to 10% each", augment=_SPEC_AUGMENT
    ),
    _augmented(
        "noise", "additive noise", "real, white noise at 10 to 40 dB below the clip's mean",
        augment={"noise_snr_db": 10.0},
    ),
    _augmented(
        "shift", "time and frequency shift", "real, shifted by up to 10% of the frames and 5% of the rows",
        augment={"time_shift_share": 0.1, "frequency_shift_share": 0.05},
    ),
    _augmented("mixup", "mixup", "real, pairs mixed (alpha 0.2)", augment={"mixup": 0.2}),
    Case(
        name="gan_spec_augment", title="progressive supervised + SpecAugment", group="controls", generator_of=_BEST,
        changes={"schedule": "progressive", "augment": _SPEC_AUGMENT},
        about="real and generated, both masked as in SpecAugment",
    ),
    _spoilt("shuffled_faces", "other clips' faces", "moderate supervised, but each clip has another clip's face"),
    _spoilt("no_face", "no face (label only)", "moderate supervised, but every face is a grey square"),
    _spoilt("shuffled_labels", "other clips' labels", "moderate supervised, but G and Q get another clip's label"),
]  # fmt: skip

CASES: Mapping[str, Case] = {case.name: case for case in _ALL}
"""All cases by name, in the order of the table."""

WHOLE_CASE = "moderate_supervised"
"""The case that those of the group `spoilt` are, but for what they lack."""
SWEPT_CASE = _BEST
"""The case whose share of generated examples is varied."""
LOW_DATA_CASES = ("baseline", "no_face", "moderate_supervised", _BEST)
"""The cases of the low-data curve."""
