"""The cases of a study: each is a way to train a recogniser, defined by changes to the settings of a run.

Public names: Case, CASES, GROUPS, WHOLE_CASE, SWEPT_CASE, LOW_DATA_CASES.
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
    "ceiling": "Upper bound: perfect generation",
    "without_q": "The paper's cases without Q",
    "generators": "The paper's generator",
    "uses": "Other uses of the GAN of progressive supervised",
    "unlabelled": "Unlabelled clips without generation, compared with strong",
    "baselines": "Without a GAN: the bare recogniser with one change",
    "ablations": "Ablations of the GAN's inputs",
}
"""Groups of cases, with their headings."""

_BEST = "progressive_supervised"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One way to train a recogniser.

    Attributes:
        name: name of its folder.
        title: title in tables.
        group: one of `GROUPS`.
        changes: settings that differ from the study's `RunConfig`.
        strong: settings that differ from the study's strong recogniser.
        recognisers: the recognisers of `trainers.runs.recognisers.RECOGNISERS` that it evaluates, each in its own row.
        generator: its generator, if not the study's.
        gan_of: the case whose GAN it uses, if it does not train its own.
        shares: stages that it shares with that case.
        about: description for readers of the report.
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
        """The title of a row."""
        if self.name == "baseline":
            return recogniser
        return self.title + (" + strong" if self.against(recogniser) == "strong" else "")

    def against(self, recogniser: str) -> str:
        """The recogniser of the baseline that a row is compared with; empty if there is none."""
        return "strong" if self.strong else RECOGNISERS[recogniser].against

    def config(self, base: RunConfig) -> RunConfig:
        """The settings of a study with the changes of this case.

        Raises:
            UserError: if they contradict each other.
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
        """Whether a study with these settings can have this case. A case with a generator needs another study generator, and
        pretraining in the study."""
        if self.generator and (base.pretrained or base.model.generator == self.generator):
            return False
        try:
            self.config(base)
        except UserError:
            return False
        return True

    def is_primary(self, recogniser: str) -> bool:
        """Whether a row is a primary comparison: those of the paper's GANs."""
        return self.group == "paper" and RECOGNISERS[recogniser].primary


def _gan_cases() -> list[Case]:
    cases = []
    for use_classifier, schedule, condition in itertools.product(
        (True, False), ("moderate", "progressive"), ("label", "face")
    ):
        supervision = "supervised" if condition == "label" else "semi-supervised"
        start = "pretrained, then calibrated" if schedule == "progressive" else "trained on the labelled corpus alone"
        source = "the label" if condition == "label" else "the prediction of a cross-fitted face classifier"
        cases.append(
            Case(
                name=f"{schedule}_{supervision.replace('-', '_')}" + ("" if use_classifier else "_without_q"),
                title=f"{schedule} {supervision}" + ("" if use_classifier else " without Q"),
                group="paper" if use_classifier else "without_q",
                changes={"schedule": schedule, "condition": condition, "use_classifier": use_classifier},
                about=f"real and generated examples; the GAN is {start}; its condition is {source}"
                + ("" if use_classifier else "; no Q"),
            )
        )
    return cases


def _regularised(name: str, title: str, about: str, strong: RecogniserConfig) -> Case:
    changes = {"schedule": "none", "strong": strong}
    return Case(name=name, title=title, group="baselines", changes=changes, recognisers=("strong",), about=about)


def _augmented(name: str, title: str, about: str, **augment: float) -> Case:
    return _regularised(name, title, about, RecogniserConfig(augment=AugmentConfig(**augment)))  # type: ignore[arg-type]


def _use(name: str, title: str, about: str, **changes: Any) -> Case:
    gan = {"schedule": "progressive", "condition": "label", "use_classifier": True}
    mixing = changes.keys() <= {"generated_weight", "generated_until"}  # no effect on generated examples alone
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
        about=f"{like}, with the paper's U-Net and its default losses, independent of the flags",
    )  # fmt: skip


def _ablation(ablation: str, title: str, about: str) -> Case:
    changes = {"schedule": "moderate", "ablation": ablation}
    return Case(name=ablation, title=title, group="ablations", changes=changes, about=about)


_ALL = [
    Case(
        name="baseline", title="baseline", group="paper", changes={"schedule": "none"}, recognisers=("bare", "strong"),
        about="bare: the paper's baseline, trained on real spectrograms without augmentation, with the weights of the best "
        "validation accuracy; strong: regularised; see the settings below",
    ),
    Case(
        name="oracle", title="oracle", group="ceiling", changes={"schedule": "none", "oracle": True},
        recognisers=("oracle", "oracle_strong"),
        about="real labelled clips of the left out speakers instead of generated examples: the gain of perfect generation",
    ),
    *_gan_cases(),
    _of_the_unet("unet", "progressive supervised", schedule="progressive", condition="label", use_classifier=True),
    _of_the_unet("unet_moderate", "moderate supervised", schedule="moderate", condition="label", use_classifier=True),
    _of_the_unet("unet_no_face", "no face (label only)", schedule="moderate", ablation="no_face"),
    _use("lighter", "generated ones at a third", "generated examples have a loss weight of one third", generated_weight=1 / 3),
    _use("first", "generated ones first", "the second half of the updates uses real examples alone", generated_until=0.5),
    _use(
        "readings", "generated ones as they are read", "the targets of generated examples are the probabilities predicted by "
        "recognisers that never saw the speaker", generated_targets="readings",
    ),
    _use("filtered", "generated ones that fit", "without the generated examples for which recognisers that never saw the "
         "speaker predict another emotion", generated_filter=True),
    _use("new_faces", "of unlabelled faces", "generated from the unlabelled faces with random emotions", draw_from="unlabelled",
         requests="lot"),
    _use("read_faces", "of unlabelled faces, emotions read", "generated from the unlabelled faces with the emotion predicted "
         "by f_S", draw_from="unlabelled"),
    _use("revoiced", "unlabelled clips in other emotions", "unlabelled clips converted to every emotion: generated from their "
         "faces and codes", draw_from="unlabelled", requests="all", revoice=True),
    _unlabelled("from_d", "from D", "convolutions initialised from the pretrained D", start="discriminator"),
    _unlabelled("consistent", "consistent", "with a consistency loss on unlabelled clips: the prediction for a weakly "
                "augmented clip is the target for the strongly augmented one (FixMatch)", consistency=1.0),
    _regularised(
        "oversampling", "oversampling", "real, all emotions sampled equally often", RecogniserConfig(balance_classes=True)
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
"""The case that the cases of the group `ablations` are variants of."""
SWEPT_CASE = _BEST
"""The case whose share of generated examples is varied."""
LOW_DATA_CASES = ("baseline", "no_face", "moderate_supervised", _BEST)
"""The cases of the low-data curve."""
