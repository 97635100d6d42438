"""The settings of a whole run: `RunConfig`, what each of them can be, `DEFAULTS`, and `recipe`, a generator's own."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from emogan.config import (
    ABLATIONS,
    PRESETS,
    SELECTIONS,
    STRONG,
    AugmentConfig,
    LossConfig,
    ModelConfig,
    RecogniserConfig,
    TrainConfig,
    differences,
)
from emogan.errors import check

FORMAT = 8
"""Of what a run folder and a saved network hold; another one is refused."""
SCHEDULES = ("progressive", "moderate", "none")
"""Pretraining then calibration; calibration from scratch; or no GAN at all, but the recognisers of real spectrograms alone."""
CONDITIONS = ("label", "face")
"""Supervised, or semi-supervised."""
TRANSFERS = ("generator_and_discriminator", "generator", "encoder")
"""What calibration can take over from pretraining; the encoder is G's way down."""
REQUESTS = ("own", "all", "lot")
"""What emotions are generated from a clip."""
DRAWN_FROM = ("labelled", "unlabelled")
"""What clips something is generated from for the recognisers."""
TARGETS = ("requests", "readings")
"""What recognisers learn of a generated example."""
PRESET = "64"
"""The preset of a run where none is named."""
MOST_UNLABELLED = 2_048
"""Unlabelled clips of which something is generated at most; they lie in random order."""
LEFT_OUT = "left_out"
"""As `pretrain_dataset`: the speakers of the training folds that are not trained on, without their labels."""
_LOSS = LossConfig()
_PRETRAIN, _CALIBRATE = TrainConfig(steps=100_000), TrainConfig(steps=50_000)
_RECOGNISE = TrainConfig(steps=5_000, batch_size=32, learning_rate=1e-3, beta_1=0.9)
SEED_STEP = 1_000
"""Between the seeds of a recogniser's trainings, so that those of runs with other seeds are others."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run of `trainers.progressive`: pretrain, calibrate, evaluate, export.

    Attributes:
        pretrain_dataset: the unlabelled dataset of the first stage; the variant of its size, unless `name/variant` says it; or
            `LEFT_OUT`.
        dataset: the labelled dataset of calibration and evaluation.
        test_fold: the fold of speakers that is held out; the next one is for validation, the others for training.
        schedule: one of `SCHEDULES`.
        pretrained: where a progressive run takes its start from, instead of pretraining: a stage of another run,
            `<run_dir>/pretrain` or `<run_dir>/calibrate`; empty where it pretrains itself.
        condition: where c comes from: the `label`, or the probabilities that f_S reads in the `face` (in what G sees, that is:
            in the sound, where faces are made from it), which then also are what Q learns.
        use_classifier: whether Q takes part in calibration.
        transfer: one of `TRANSFERS`; what is not transferred starts at random. Without effect on a moderate run.
        freeze_encoder: whether calibration leaves G's way down as it was transferred.
        select_weights: one of `SELECTIONS`: the weights that a GAN stage hands on; best is by the validation L1 distance.
        model, loss: see there.
        pretrain, calibrate: the two stages of GAN training.
        recognise: the training of f_S and of all recognisers, which have equally many updates.
        recognise_seeds: trainings of each recogniser, over which figures are averaged; see `recogniser_seeds`.
        strong: how the strong recogniser is regularised; the bare one has `emogan.config.BARE`.
        generated_share: share of generated examples in each batch that has some. Our choice.
        draws: how many are generated from each face and condition, by different noise.
        draw_from: one of `DRAWN_FROM`: of whose clips something is generated: the training speakers', or unlabelled ones.
        requests: one of `REQUESTS`: what is asked for: the clip's `own` c (of an unlabelled one what f_S reads in it), `all`
            emotions, or one by `lot` for each draw.
        revoice: whether the noise is the code of the clip's own target, so that it is said again in another emotion.
        face_certainty: where f_S reads c: the probability from which the likeliest emotion counts as the label; clips of which
            it is less sure have none. It is a probability by temperature (see `trainers.runs.readings`), so that an f_S that is
            as often wrong as right is no surer than that. 0 for the probabilities as they are, which is the paper's way.
        generated_alone: whether a recogniser is also trained on generated examples alone.
        generated_weight: of a generated example in the recognisers' loss; that of a real one is 1.
        generated_until: share of the updates after which batches are real ones alone.
        generated_targets: one of `TARGETS`: what a generated example's target is: what was asked for, or what recognisers read
            in it that do not know the speaker.
        generated_filter: whether only those are used in which these recognisers find what was asked for.
        train_speakers: number of training speakers, chosen by the seed of calibration; 0 for all.
        unlabelled_share: share of each batch of calibration that comes from the unlabelled dataset, with the null condition.
        balance_classes: whether calibration draws all classes equally often.
        flip_faces: whether every other face that G is trained on, by chance, is mirrored left to right.
        vary_faces: whether these faces are moved and made lighter or darker by chance.
        oracle: whether recognisers are also trained with real labelled clips of the speakers that `train_speakers` leaves out,
            in the place of generated ones: what perfect generation would bring.
        inception: where Inception is loaded from, for FID, KID and IS on its features too: an address at TF-Hub, or a folder.
        ablation: one of `ABLATIONS`: G sees another clip's face, or a blank one; or the condition is another clip's.
        format: `FORMAT` of the version that wrote it.
    """

    pretrain_dataset: str = "voxceleb_av"
    dataset: str = "crema_d_av"
    test_fold: int = 0
    schedule: str = "progressive"
    pretrained: str = ""
    condition: str = "label"
    use_classifier: bool = True
    transfer: str = "generator_and_discriminator"
    freeze_encoder: bool = False
    select_weights: str = "last"
    model: ModelConfig
    loss: LossConfig = _LOSS
    pretrain: TrainConfig = _PRETRAIN
    calibrate: TrainConfig = _CALIBRATE
    recognise: TrainConfig = _RECOGNISE
    recognise_seeds: int = 3
    strong: RecogniserConfig = STRONG
    generated_share: float = 0.5
    draws: int = 10
    draw_from: str = "labelled"
    requests: str = "own"
    revoice: bool = False
    face_certainty: float = 0.0
    generated_alone: bool = True
    generated_weight: float = 1.0
    generated_until: float = 1.0
    generated_targets: str = "requests"
    generated_filter: bool = False
    train_speakers: int = 0
    unlabelled_share: float = 0.0
    balance_classes: bool = False
    flip_faces: bool = False
    vary_faces: bool = False
    oracle: bool = False
    inception: str = ""
    ablation: str = "none"
    format: int = FORMAT

    @classmethod
    def from_preset(cls, preset: str = PRESET, **settings: Any) -> "RunConfig":
        """The settings that `python -m trainers.progressive --preset=...` makes of the same flags.

        Args:
            preset: one of `emogan.config.PRESETS`.
            settings: others than `DEFAULTS`, by name; None stands for the default.

        Raises:
            UserError: where there is no such preset or setting, or they contradict each other.
        """
        unknown = sorted(settings.keys() - DEFAULTS.keys())
        check(not unknown, f"there is no setting {', '.join(unknown)}; the names are those of the flags")
        check(preset in PRESETS, f"there is no preset {preset}; the presets are {', '.join(PRESETS)}")
        given = {name: value for name, value in settings.items() if value is not None}
        values = {**DEFAULTS, **given}
        values |= {name: value for name, value in _usual(values, given).items() if name not in given}

        def of(kind: Any) -> dict[str, Any]:
            return {field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values}

        def stage(name: str) -> TrainConfig:
            shared = ("interval", "seed") if name == "recognise" else _SHARED
            own = {key: values[f"{name}_{key}"] for key in _OF_STAGES[name]}
            return dataclasses.replace(getattr(cls, name), **{key: values[key] for key in shared}, **own)

        return cls(
            **of(cls),
            model=dataclasses.replace(PRESETS[preset], **of(ModelConfig)),
            loss=LossConfig(**of(LossConfig)),
            pretrain=stage("pretrain"),
            calibrate=stage("calibrate"),
            recognise=stage("recognise"),
            strong=RecogniserConfig(
                augment=AugmentConfig(**of(AugmentConfig)),
                balance_classes=values["balance_classes"],
                **{name: values[f"recognise_{name}"] for name in _REGULARISED},
            ),
        )

    @property
    def pretrains(self) -> bool:
        """Whether the run has a first stage of its own."""
        return self.starts_from_pretraining and not self.pretrained

    @property
    def starts_from_pretraining(self) -> bool:
        """Whether the run needs pretrained networks."""
        return self.schedule == "progressive" or self.strong.start == "discriminator"

    @property
    def uses_unlabelled(self) -> bool:
        """Whether the run needs the unlabelled dataset."""
        return bool(
            self.pretrains
            or self.unlabelled_share
            or self.strong.consistency
            or (self.schedule != "none" and self.draw_from == "unlabelled")
        )

    @property
    def reads_faces(self) -> bool:
        """Whether the run has an f_S."""
        unlabelled = self.draw_from == "unlabelled" and self.requests == "own"
        return self.schedule != "none" and (self.condition == "face" or unlabelled)

    @property
    def draws_each(self) -> int:
        """How many are generated from each clip and emotion: one where the clip's code, and not noise, is G's."""
        return 1 if self.revoice else self.draws

    @property
    def judges_draws(self) -> bool:
        """Whether the run has recognisers that judge what is generated; see `trainers.stages.judging`."""
        return self.schedule != "none" and (self.generated_filter or self.generated_targets == "readings")

    @property
    def calibration_loss(self) -> LossConfig:
        """The losses of calibration: where no clip has its own face, D is shown none as another's."""
        without_faces = self.ablation in ("no_face", "shuffled_faces")
        return dataclasses.replace(self.loss, lambda_mismatch=0.0) if without_faces else self.loss

    @property
    def unlabelled_examples(self) -> int:
        """How many of each batch of calibration have no label."""
        return round(self.unlabelled_share * self.calibrate.batch_size)

    @property
    def recogniser_seeds(self) -> list[int]:
        """The seed of each training of a recogniser."""
        return [self.recognise.seed + SEED_STEP * n for n in range(self.recognise_seeds)]

    def with_generator(self, generator: str) -> "RunConfig":
        """The same run with another generator, and with the settings that are that one's own; see `recipe`."""
        usual = recipe(generator, pretrains=self.pretrains, direction=self.model.direction) | {"generator": generator}

        def of(part: Any) -> Any:
            names = {field.name for field in dataclasses.fields(part)}
            return dataclasses.replace(part, **{name: value for name, value in usual.items() if name in names})

        changed = {name: of(getattr(self, name)) for name in ("model", "loss", "pretrain", "calibrate")}
        return dataclasses.replace(of(self), **changed)

    def differences_from(self, other: "RunConfig") -> str:
        """The settings in which it differs from another run, as `name: this, other`; where the formats or the generators
        differ that alone, since most of the others follow from it."""
        kinds = {"format": (self.format, other.format), "generator": (self.model.generator, other.model.generator)}
        of_other_kind = (f"{name}: {ours}, {theirs}" for name, (ours, theirs) in kinds.items() if ours != theirs)
        return next(of_other_kind, differences(self, other))

    def __post_init__(self) -> None:
        choices = {
            "schedule": SCHEDULES,
            "condition": CONDITIONS,
            "transfer": TRANSFERS,
            "select_weights": SELECTIONS,
            "requests": REQUESTS,
            "draw_from": DRAWN_FROM,
            "generated_targets": TARGETS,
            "ablation": ABLATIONS,
        }
        for name, values in choices.items():
            value = getattr(self, name)
            check(value in values, f"{name} is {value!r}; it must be one of {', '.join(values)}")
        check(
            not self.freeze_encoder or self.schedule == "progressive",
            "freeze_encoder needs an encoder that was pretrained; leave it out, or take schedule progressive",
        )
        check(
            not self.pretrained or self.starts_from_pretraining,
            "pretrained needs schedule progressive, or a recogniser that starts from D; leave it out, or take one of them",
        )
        check(
            not self.ablation.startswith("shuffled") or self.calibrate.batch_size - self.unlabelled_examples > 1,
            f"ablation {self.ablation} shuffles the labelled examples of a batch, and there is one; raise batch_size",
        )
        check(0 < self.generated_share < 1, f"generated_share is {self.generated_share}; it must lie between 0 and 1")
        generated = round(self.generated_share * self.recognise.batch_size)
        check(
            0 < generated < self.recognise.batch_size,
            f"generated_share {self.generated_share} of {self.recognise.batch_size} examples is {generated}; every batch must "
            "have real and generated ones",
        )
        weight, until = self.generated_weight, self.generated_until
        check(weight > 0, f"generated_weight is {weight}; it must be positive")
        check(0 < until <= 1, f"generated_until is {until}; it must lie above 0, and at most at 1")
        check(0 <= self.face_certainty < 1, f"face_certainty is {self.face_certainty}; it must lie in [0, 1)")
        faces_made = self.model.direction == "audio_to_face"
        check(
            not self.revoice or (self.loss.lambda_code > 0 and not faces_made),
            "revoice needs a G that makes spectrograms and has learnt a code of them; give lambda_code above 0",
        )
        check(
            not self.revoice or self.requests == "all",
            f"revoice says a clip again in each emotion, and requests is {self.requests}; give requests all",
        )
        check(
            not self.revoice or self.draw_from == "labelled" or self.unlabelled_share > 0,
            "revoice needs a code of the unlabelled clips, and G has learnt none; give unlabelled_share above 0",
        )
        check(
            self.strong.start == "random" or self.model.generator == "modulated" or not self.model.d_sees_source,
            "a recogniser cannot start from a D whose first convolution sees the source too; leave d_sees_source out",
        )
        check(
            not (self.strong.consistency and faces_made),
            "consistency changes spectrograms; leave it out where faces are generated",
        )
        for name in ("recognise_seeds", "draws"):
            check(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be at least 1")
        last = self.recogniser_seeds[-1]
        check(
            last < 2**32,
            f"the seed of the last recogniser would be {last:,}; it must be below {2**32:,}: give a smaller seed",
        )
        check(
            self.train_speakers > 0 or not (self.oracle or self.pretrain_dataset == LEFT_OUT),
            f"{'oracle' if self.oracle else f'pretrain_dataset {LEFT_OUT}'} needs speakers of the labelled corpus that are "
            "not trained on; give train_speakers, fewer than the training folds have",
        )
        share, size = self.unlabelled_share, self.calibrate.batch_size
        check(0 <= share < 1, f"unlabelled_share is {share}; it must lie in [0, 1)")
        check(
            not share or 0 < self.unlabelled_examples < size,
            f"unlabelled_share {share} of {size} examples is {self.unlabelled_examples}; every batch must have some with a "
            "label and some without",
        )
        check(
            self.model.direction == "face_to_audio" or not (self.loss.diff_augment or self.loss.q_augment),
            "diff_augment and q_augment are made for spectrograms; leave them out where faces are generated",
        )
        check(
            not self.loss.lambda_mismatch or self.model.d_sees_source,
            "lambda_mismatch needs a D that sees the source; give d_sees_source, or lambda_mismatch 0",
        )
        parts = [self.pretrain.batch_size] if self.pretrains and self.loss.lambda_mismatch else []
        if self.schedule != "none" and self.calibration_loss.lambda_mismatch:
            parts += [self.unlabelled_examples, size - self.unlabelled_examples]
        check(
            1 not in parts,
            "lambda_mismatch needs another example beside each in a batch, of those with a label and of those without one; "
            "raise batch_size, or give lambda_mismatch 0",
        )
        check(self.train_speakers >= 0, f"train_speakers is {self.train_speakers}; it must be positive, or 0 for all")
        for name in ("time_mask", "frequency_mask", "time_shift", "frequency_shift"):
            share = getattr(self.strong.augment, f"{name}_share")
            used = getattr(self.strong.augment, f"{name}s") if name.endswith("mask") else share
            check(
                not used or share * self.model.size >= 1,
                f"{name}_share {share} of {self.model.size} is less than one; it must be at least {1 / self.model.size}",
            )


_OF_STAGES = {
    "pretrain": ("steps",), "calibrate": ("steps",), "recognise": ("steps", "batch_size", "learning_rate"),
}  # fmt: skip
"""Settings of a stage's training that are its own."""
_SHARED = (
    "interval", "seed", "batch_size", "accumulate", "learning_rate", "d_learning_rate", "g_ema", "precision", "xla",
)  # fmt: skip
"""Settings that both stages of GAN training share."""
_REGULARISED = ("smoothing", "decay", "weights", "start", "consistency", "certainty")
"""Settings of the strong recogniser whose names as settings of a run begin with `recognise_`."""


def _defaults() -> dict[str, Any]:
    parts = {"model", "loss", "strong", "format", *_OF_STAGES}

    def of(kind: Any, names: Collection[str] | None = None) -> dict[str, Any]:
        return {
            field.name: field.default
            for field in dataclasses.fields(kind)
            if (field.name not in parts if names is None else field.name in names)
        }

    return {
        **of(RunConfig),
        **of(ModelConfig, {"noise_dim", "spectral_norm", "d_sees_source", "direction"}),
        "generator": "modulated",
        **of(LossConfig),
        **of(TrainConfig, _SHARED),
        **{
            f"{name}_{key}": getattr(getattr(RunConfig, name), key) for name, keys in _OF_STAGES.items() for key in keys
        },
        **vars(STRONG.augment),
        **{f"recognise_{name}": getattr(STRONG, name) for name in _REGULARISED},
    }


DEFAULTS: Mapping[str, Any] = _defaults()
"""The settings of a run by the names that flags have, and their values where nothing is said; those of `RECIPES` depend on the
generator."""


def _usual(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The generator's own settings, but for those that others leave without a use."""
    shared = values["schedule"] == "progressive" and not values["pretrained"] and values["batch_size"] >= 4
    usual = recipe(values["generator"], pretrains=shared, direction=values["direction"])
    if given.get("d_sees_source") is False or values["batch_size"] < 2:
        usual["lambda_mismatch"] = 0.0
    return usual


RECIPES: Mapping[str, Mapping[str, Any]] = {
    "unet": {},
    "modulated": {
        "noise_dim": 32,
        "d_sees_source": True,
        "lambda_l1": 0.0,
        "lambda_code": 8.0,
        "lambda_q": 0.5,
        "lambda_mismatch": 0.5,
        "other_requests": 0.25,
        "r1_gamma": 0.2,
        "r1_interval": 8,
        "diff_augment": True,
        "q_augment": True,
        "learning_rate": 5e-4,
        "g_ema": 0.998,
        "vary_faces": True,
        "unlabelled_share": 0.5,
    },
}
"""What a run with that generator sets, unless it is told otherwise, where the defaults of the settings' classes, which are the
paper's or near it, do not suit it. Chosen on validation folds; docs/results.md tells how."""


def recipe(generator: str, *, pretrains: bool = True, direction: str = "face_to_audio") -> dict[str, Any]:
    """The settings that are not the same for all generators, by name, with the values that one of them has.

    Args:
        generator: one of `emogan.config.GENERATORS`.
        pretrains: whether the run pretrains; else there are no unlabelled clips that calibration could go on with.
        direction: one of `emogan.config.DIRECTIONS`; where faces are made, what D and Q see is not augmented, and faces
            are not varied.
    """
    classes = RunConfig, ModelConfig, LossConfig, TrainConfig
    defaults = {field.name: field.default for one in classes for field in dataclasses.fields(one)}
    varied = sorted({name for settings in RECIPES.values() for name in settings})
    found = {name: RECIPES[generator].get(name, defaults[name]) for name in varied}
    without_use = {} if pretrains else {"unlabelled_share": 0.0}
    if direction == "audio_to_face":
        without_use |= {"diff_augment": False, "q_augment": False, "vary_faces": False}
    return found | without_use
