"""What is compared in a study: `Case`, `CASES`, by name and in the order of the table, and `GROUPS`.

A case is a way to train a recogniser, told as changes of a run's settings.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from emogan.config import AugmentConfig, RecogniserConfig
from emogan.errors import UserError
from trainers.runs.config import RunConfig
from trainers.runs.recognisers import RECOGNISERS

GROUPS = {
    "paper": "The paper's cases, and the strong recogniser",
    "ceiling": "What perfect generation would bring",
    "without_q": "The paper's cases without Q",
    "generators": "The paper's generator",
    "uses": "Other ways to use what the GAN of progressive supervised makes",
    "unlabelled": "The unlabelled clips without generation, compared with strong",
    "baselines": "Without a GAN: the bare recogniser with one change",
    "ablations": "GANs without a part of what they need",
}
"""Groups of cases, and their headings."""

_BEST = "progressive_supervised"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One way to train a recogniser.

    Attributes:
        name: its folder's name.
        title: its name in tables.
        group: one of `GROUPS`.
        changes: settings of a `RunConfig` in which it differs from the study's.
        strong: settings of the study's strong recogniser in which it differs.
        recognisers: those of `trainers.runs.recognisers.RECOGNISERS` that it measures, each in a row of its own.
        generator: its generator, where it is not the study's.
        gan_of: the case whose GAN it uses, where it trains none of its own.
        shares: the stages that it shares with that case.
        about: what it is, for a reader who did not run it.
    """

    name: str
    title: str
    group: str
    changes: Mapping[str, Any]
    strong: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    recognisers: tuple[str, ...] = ("gan", "gan_strong")
    generator: str = ""
    gan_of: str = ""
    shares: tuple[str, ...] = ("calibrate",)
    about: str = ""

    def row_title(self, recogniser: str) -> str:
        """The name of one of its rows."""
        if self.name == "baseline":
            return recogniser
        return self.title + (" + strong" if self.against(recogniser) == "strong" else "")

    def against(self, recogniser: str) -> str:
        """The recogniser of the baseline that one of its rows is compared with, or nothing."""
        return "strong" if self.strong else RECOGNISERS[recogniser].against

    def config(self, base: RunConfig) -> RunConfig:
        """The study's settings with its changes.

        Raises:
            UserError: where they do not go together.
        """
        progressive = self.changes["schedule"] == "progressive"
        base = base.with_generator(self.generator) if self.generator else base
        config = dataclasses.replace(
            base,
            freeze_encoder=base.freeze_encoder and progressive,
            pretrained="",
            unlabelled_share=base.unlabelled_share if progressive else 0.0,
            **{"strong": dataclasses.replace(base.strong, **self.strong), **self.changes},
        )
        return dataclasses.replace(config, pretrained=base.pretrained if config.starts_from_pretraining else "")

    def fits(self, base: RunConfig) -> bool:
        """Whether a study with those settings can have it; a generator of its own must be another one, and be pretrained."""
        if self.generator and (base.pretrained or base.model.generator == self.generator):
            return False
        try:
            self.config(base)
        except UserError:
            return False
        return True

    def is_primary(self, recogniser: str) -> bool:
        """Whether the row is one of the comparisons for which a study is made: those of the paper's GANs."""
        return self.group == "paper" and RECOGNISERS[recogniser].primary


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


def _regularised(name: str, title: str, about: str, strong: RecogniserConfig) -> Case:
    changes = {"schedule": "none", "strong": strong}
    return Case(name=name, title=title, group="baselines", changes=changes, recognisers=("strong",), about=about)


def _augmented(name: str, title: str, about: str, **augment: float) -> Case:
    return _regularised(name, title, about, RecogniserConfig(augment=AugmentConfig(**augment)))  # type: ignore[arg-type]


def _use(name: str, title: str, about: str, **changes: Any) -> Case:
    gan = {"schedule": "progressive", "condition": "label", "use_classifier": True}
    mixing = changes.keys() <= {"generated_weight", "generated_until"}  # of which generated ones alone know nothing
    shares = ("calibrate", *(["recognise_generated"] if mixing else []))
    return Case(
        name=f"use_{name}", title=title, group="uses", changes=gan | changes, gan_of=_BEST, shares=shares,
        about=f"progressive supervised, but {about}",
    )  # fmt: skip


def _unlabelled(name: str, title: str, about: str, **changes: Any) -> Case:
    return Case(
        name=name, title=title, group="unlabelled", changes={"schedule": "none"}, strong=changes, recognisers=("strong",),
        about=about,
    )  # fmt: skip


def _of_the_unet(name: str, like: str, **changes: Any) -> Case:
    return Case(
        name=name, title=f"U-Net, {like}", group="generators", generator="unet", changes=changes,
        about=f"{like}, but with the paper's U-Net and the losses that are usual with it, whatever flags say of those",
    )  # fmt: skip


def _ablation(ablation: str, title: str, about: str) -> Case:
    changes = {"schedule": "moderate", "ablation": ablation}
    return Case(name=ablation, title=title, group="ablations", changes=changes, about=about)


_ALL = [
    Case(
        name="baseline", title="baseline", group="paper", changes={"schedule": "none"}, recognisers=("bare", "strong"),
        about="bare: the paper's, trained on real spectrograms as they are, with the weights of the best validation accuracy; "
        "strong: the same, regularised as the settings below say",
    ),
    Case(
        name="oracle", title="oracle", group="ceiling", changes={"schedule": "none", "oracle": True},
        recognisers=("oracle", "oracle_strong"),
        about="real labelled clips of the speakers that are left out in the place of generated ones: what perfect generation "
        "would bring",
    ),
    *_gan_cases(),
    _of_the_unet("unet", "progressive supervised", schedule="progressive", condition="label", use_classifier=True),
    _of_the_unet("unet_moderate", "moderate supervised", schedule="moderate", condition="label", use_classifier=True),
    _of_the_unet("unet_no_face", "no face (label only)", schedule="moderate", ablation="no_face"),
    _use("lighter", "generated ones at a third", "generated examples weigh a third", generated_weight=1 / 3),
    _use("first", "generated ones first", "the second half of the updates sees real ones alone", generated_until=0.5),
    _use(
        "readings", "generated ones as they are read", "their targets are what recognisers read in them that do not know the "
        "speaker", generated_targets="readings",
    ),
    _use("filtered", "generated ones that fit", "those are left out in which such recognisers find another emotion",
         generated_filter=True),
    _use("new_faces", "of unlabelled faces", "generated from the unlabelled faces, emotions by lot", draw_from="unlabelled",
         requests="lot"),
    _use("read_faces", "of unlabelled faces, emotions read", "generated from the unlabelled faces with the emotion that f_S "
         "reads in them", draw_from="unlabelled"),
    _use("revoiced", "unlabelled clips in other emotions", "from the unlabelled faces and their clips' codes, each in all "
         "emotions", draw_from="unlabelled", requests="all", revoice=True),
    _unlabelled("from_d", "from D", "its convolutions begin as those of the pretrained D", start="discriminator"),
    _unlabelled("consistent", "consistent", "what it reads in an unlabelled clip it learns to read in it "
                "much changed (FixMatch)", consistency=1.0),
    _regularised(
        "oversampling", "oversampling", "real, every emotion drawn equally often", RecogniserConfig(balance_classes=True)
    ),
    _augmented(
        "spec_augment", "SpecAugment", "real, two time and two frequency masks of up to 10% each", time_masks=2,
        frequency_masks=2,
    ),
    _augmented("noise", "additive noise", "real, white noise at 10 to 40 dB below the clip's mean", noise_snr_db=10.0),
    _augmented(
        "shift", "time and frequency shift", "real, shifted by up to 10% of the frames and 5% of the rows",
        time_shift_share=0.1, frequency_shift_share=0.05,
    ),
    _augmented("mixup", "mixup", "real, pairs mixed (alpha 0.2)", mixup=0.2),
    _ablation("shuffled_faces", "other clips' faces", "moderate supervised, but each clip has another clip's face"),
    _ablation("no_face", "no face (label only)", "moderate supervised, but every face is a grey square"),
    _ablation("shuffled_labels", "other clips' labels", "moderate supervised, but G and Q get another clip's label"),
]  # fmt: skip

CASES: Mapping[str, Case] = {case.name: case for case in _ALL}
"""All cases by name, in the order of the table."""

WHOLE_CASE = "moderate_supervised"
"""The case that those of the group `ablations` are, but for what they lack."""
SWEPT_CASE = _BEST
"""The case whose share of generated examples is varied."""
LOW_DATA_CASES = ("baseline", "no_face", "moderate_supervised", _BEST)
"""The cases of the low-data curve."""
