"""The settings of a whole run: `RunConfig`, the choices for each setting, `DEFAULTS`, and `recipe`, defaults by generator."""

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
"""Version of the contents of run folders and saved networks; others are refused."""
SCHEDULES = ("progressive", "moderate", "none")
"""Pretraining then calibration; calibration from scratch; or no GAN, only recognisers of real spectrograms."""
CONDITIONS = ("label", "face")
"""Supervised, or semi-supervised."""
TRANSFERS = ("generator_and_discriminator", "generator", "encoder")
"""Networks that calibration can transfer from pretraining; the encoder is the downsampling half of G."""
REQUESTS = ("own", "all", "lot")
"""Emotions to generate from a clip."""
DRAWN_FROM = ("labelled", "unlabelled")
"""Clips to generate from for the recognisers."""
TARGETS = ("requests", "readings")
"""Targets of generated examples in the training of recognisers."""
PRESET = "64"
"""The default preset."""
MOST_UNLABELLED = 2_048
"""Maximum number of unlabelled clips to generate from; they are stored in random order."""
LEFT_OUT = "left_out"
"""Value of `pretrain_dataset`: the speakers of the training folds that `train_speakers` leaves out, without their labels."""
_LOSS = LossConfig()
_PRETRAIN, _CALIBRATE = TrainConfig(steps=100_000), TrainConfig(steps=50_000)
_RECOGNISE = TrainConfig(steps=5_000, batch_size=32, learning_rate=1e-3, beta_1=0.9)
SEED_STEP = 1_000
"""Step between the seeds of a recogniser's trainings, so that runs with nearby seeds share none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run of `trainers.progressive`: pretrain, calibrate, evaluate, export.

    Attributes:
        pretrain_dataset: unlabelled dataset of pretraining, in the variant of the preset's size unless given as
            `name/variant`; or `LEFT_OUT`.
        dataset: labelled dataset of calibration and evaluation.
        test_fold: the test fold of speakers; the next fold is for validation, the others for training.
        schedule: one of `SCHEDULES`.
        pretrained: a stage of another run to start from instead of pretraining, `<run_dir>/pretrain` or `<run_dir>/calibrate`;
            empty if the run pretrains itself.
        condition: source of the condition c and target of Q: the `label`, or the probabilities that f_S predicts from the
            `face` (from the spectrogram, if faces are generated).
        use_classifier: whether calibration uses Q.
        transfer: one of `TRANSFERS`; other weights start at random. No effect on a moderate run.
        freeze_encoder: whether calibration freezes G's transferred encoder.
        select_weights: one of `SELECTIONS`: the weights that a GAN stage hands on; best is by the validation L1 distance.
        model, loss: see `ModelConfig` and `LossConfig`.
        pretrain, calibrate: training of the two GAN stages.
        recognise: training of f_S and of all recognisers, with the same number of updates for each.
        recognise_seeds: number of trainings of each recogniser, over which metrics are averaged; see `recogniser_seeds`.
        strong: regularisation of the strong recogniser; that of the bare one is `emogan.config.BARE`.
        generated_share: share of generated examples in each batch that mixes real and generated ones. Our choice.
        draws: number of examples generated from each face and condition, each from other noise.
        draw_from: one of `DRAWN_FROM`: generate from clips of the training speakers or from unlabelled ones.
        requests: one of `REQUESTS`: the condition to generate: the clip's `own` (of an unlabelled clip, the prediction of
            f_S), `all` emotions, or a random one for each draw (`lot`).
        revoice: whether the noise is the code of the clip's own target, which converts the clip to another emotion.
        face_certainty: with predictions of f_S: minimum probability at which the most likely emotion is used as the label;
            other clips have none. The probability is calibrated by temperature (see `trainers.runs.readings`), so that an f_S
            that is right half of the time is 50% certain. 0 uses the probabilities as they are, as in the paper.
        generated_alone: whether to also train a recogniser on generated examples alone.
        generated_weight: weight of a generated example in the recognisers' loss; that of a real one is 1.
        generated_until: share of the updates after which batches are all real.
        generated_targets: one of `TARGETS`: the target of a generated example: the requested emotion, or the probabilities
            predicted by recognisers that never saw its speaker.
        generated_filter: whether to discard examples for which these recognisers do not predict the requested emotion.
        train_speakers: number of training speakers, chosen by the seed of calibration; 0 for all.
        unlabelled_share: share of each calibration batch from the unlabelled dataset, with the null condition.
        balance_classes: whether calibration samples all classes equally often.
        flip_faces: whether G's training faces are mirrored at random, with probability 0.5.
        vary_faces: whether G's training faces are randomly shifted and changed in brightness and contrast.
        oracle: whether to also train recognisers with real labelled clips of the speakers that `train_speakers` leaves out,
            instead of generated ones: an upper bound for the gain.
        inception: source of Inception for additional FID, KID and IS: a TF-Hub address or a folder.
        ablation: one of `ABLATIONS`: G sees another clip's face, or a blank one; or the condition is another clip's.
        format: `FORMAT` of the version that wrote it.

    Raises:
        UserError: if a setting is invalid, or settings contradict each other.
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
        """Returns the settings of `python -m trainers.progressive --preset=...` with the same flags.

        Args:
            preset: one of `emogan.config.PRESETS`.
            settings: settings that differ from `DEFAULTS`, by flag name; None stands for the default.

        Raises:
            UserError: if a name is unknown, or the settings contradict each other.
        """
        unknown = sorted(settings.keys() - DEFAULTS.keys())
        check(not unknown, f"unknown setting {', '.join(unknown)}; settings have the names of the flags")
        check(preset in PRESETS, f"preset is {preset!r}; it must be one of {', '.join(PRESETS)}")
        given = {name: value for name, value in settings.items() if value is not None}
        values = {**DEFAULTS, **given}
        values |= {name: value for name, value in _recipe_for(values, given).items() if name not in given}

        def of(kind: Any) -> dict[str, Any]:
            return {field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values}

        def stage(name: str) -> TrainConfig:
            shared = ("interval", "seed") if name == "recognise" else _SHARED
            own = {key: values[f"{name}_{key}"] for key in _STAGE_SETTINGS[name]}
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
                **{name: values[f"recognise_{name}"] for name in _REGULARISATION},
            ),
        )

    @property
    def pretrains(self) -> bool:
        """Whether the run has a stage of pretraining."""
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
        """Number of examples generated from each clip and emotion: one if G gets the clip's code instead of noise."""
        return 1 if self.revoice else self.draws

    @property
    def judges_draws(self) -> bool:
        """Whether the run has recognisers that judge generated examples; see `trainers.stages.judging`."""
        return self.schedule != "none" and (self.generated_filter or self.generated_targets == "readings")

    @property
    def calibration_loss(self) -> LossConfig:
        """The losses of calibration: without mismatched pairs for D if an ablation replaces all faces."""
        without_faces = self.ablation in ("no_face", "shuffled_faces")
        return dataclasses.replace(self.loss, lambda_mismatch=0.0) if without_faces else self.loss

    @property
    def unlabelled_examples(self) -> int:
        """Number of unlabelled examples in each calibration batch."""
        return round(self.unlabelled_share * self.calibrate.batch_size)

    @property
    def recogniser_seeds(self) -> list[int]:
        """The seed of each training of a recogniser."""
        return [self.recognise.seed + SEED_STEP * n for n in range(self.recognise_seeds)]

    def with_generator(self, generator: str) -> "RunConfig":
        """The same run with another generator and the settings of its `recipe`."""
        values = recipe(generator, pretrains=self.pretrains, direction=self.model.direction) | {"generator": generator}

        def of(part: Any) -> Any:
            names = {field.name for field in dataclasses.fields(part)}
            return dataclasses.replace(part, **{name: value for name, value in values.items() if name in names})

        changed = {name: of(getattr(self, name)) for name in ("model", "loss", "pretrain", "calibrate")}
        return dataclasses.replace(of(self), **changed)

    def differences_from(self, other: "RunConfig") -> str:
        """The settings that differ from those of another run, as `name: this, other`; only the format or the generator if it
        differs, since most other differences follow from it."""
        first = {"format": (self.format, other.format), "generator": (self.model.generator, other.model.generator)}
        different = (f"{name}: {this}, {that}" for name, (this, that) in first.items() if this != that)
        return next(different, differences(self, other))

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
        self._check_gan()
        self._check_mismatched_pairs()
        self._check_generated_examples()
        self._check_recognisers()
        self._check_speakers()

    def _check_gan(self) -> None:
        """Checks pretraining and calibration."""
        check(
            not self.freeze_encoder or self.schedule == "progressive",
            "freeze_encoder needs a pretrained encoder; omit it, or give schedule progressive",
        )
        check(
            not self.pretrained or self.starts_from_pretraining,
            "pretrained has no effect; omit it, or give schedule progressive or recognise_start discriminator",
        )
        check(
            not self.ablation.startswith("shuffled") or self.calibrate.batch_size - self.unlabelled_examples > 1,
            f"ablation {self.ablation} needs more than one labelled example per batch; raise batch_size",
        )
        check(0 <= self.face_certainty < 1, f"face_certainty is {self.face_certainty}; it must be in [0, 1)")
        share, size = self.unlabelled_share, self.calibrate.batch_size
        check(0 <= share < 1, f"unlabelled_share is {share}; it must be in [0, 1)")
        check(
            not share or 0 < self.unlabelled_examples < size,
            f"unlabelled_share {share} of {size} examples is {self.unlabelled_examples}; each batch must contain labelled and "
            "unlabelled examples",
        )
        check(
            not self._generates_faces or not (self.loss.diff_augment or self.loss.q_augment),
            "diff_augment and q_augment are for spectrograms; omit them with direction audio_to_face",
        )

    def _check_mismatched_pairs(self) -> None:
        """Checks that batches suffice for `LossConfig.lambda_mismatch`."""
        check(
            not self.loss.lambda_mismatch or self.model.d_sees_source,
            "lambda_mismatch needs a D that sees the source; give d_sees_source, or lambda_mismatch 0",
        )
        parts = [self.pretrain.batch_size] if self.pretrains and self.loss.lambda_mismatch else []
        if self.schedule != "none" and self.calibration_loss.lambda_mismatch:
            parts += [self.unlabelled_examples, self.calibrate.batch_size - self.unlabelled_examples]
        check(
            1 not in parts,
            "lambda_mismatch needs two labelled examples per batch, and two unlabelled ones if there are any; raise batch_size "
            "or give lambda_mismatch 0",
        )

    def _check_generated_examples(self) -> None:
        """Checks which examples are generated for the recognisers, and how they are used."""
        share, size = self.generated_share, self.recognise.batch_size
        check(0 < share < 1, f"generated_share is {share}; it must be between 0 and 1")
        check(
            0 < round(share * size) < size,
            f"generated_share {share} of {size} examples is {round(share * size)}; each batch must contain real and generated "
            "examples",
        )
        weight, until = self.generated_weight, self.generated_until
        check(weight > 0, f"generated_weight is {weight}; it must be positive")
        check(0 < until <= 1, f"generated_until is {until}; it must be in (0, 1]")
        check(self.draws > 0, f"draws is {self.draws}; it must be at least 1")
        if not self.revoice:
            return
        check(
            self.loss.lambda_code > 0 and not self._generates_faces,
            "revoice needs a G of spectrograms trained with codes; give direction face_to_audio and a lambda_code above 0",
        )
        check(
            self.requests == "all",
            f"revoice converts a clip to every emotion, but requests is {self.requests}; give requests all",
        )
        check(
            self.draw_from == "labelled" or self.unlabelled_share > 0,
            "revoice of unlabelled clips needs a G that is calibrated with them; give unlabelled_share above 0",
        )

    def _check_recognisers(self) -> None:
        """Checks the training of recognisers."""
        check(
            self.strong.start == "random" or self.model.generator == "modulated" or not self.model.d_sees_source,
            "recognise_start discriminator cannot use a U-Net D that sees the source; omit d_sees_source",
        )
        check(
            not (self.strong.consistency and self._generates_faces),
            "recognise_consistency augments spectrograms; omit it with direction audio_to_face",
        )
        check(self.recognise_seeds > 0, f"recognise_seeds is {self.recognise_seeds}; it must be at least 1")
        last = self.recogniser_seeds[-1]
        check(
            last < 2**32,
            f"the seed of the last recogniser is {last:,}; it must be below {2**32:,}: give a smaller seed",
        )
        for name in ("time_mask", "frequency_mask", "time_shift", "frequency_shift"):
            share = getattr(self.strong.augment, f"{name}_share")
            used = getattr(self.strong.augment, f"{name}s") if name.endswith("mask") else share
            check(
                not used or share * self.model.size >= 1,
                f"{name}_share {share} of {self.model.size} is less than one; it must be at least {1 / self.model.size}",
            )

    def _check_speakers(self) -> None:
        """Checks the number of training speakers."""
        check(
            self.train_speakers > 0 or not (self.oracle or self.pretrain_dataset == LEFT_OUT),
            f"{'oracle' if self.oracle else f'pretrain_dataset {LEFT_OUT}'} needs left out speakers; give train_speakers below "
            "the number in the training folds",
        )
        check(self.train_speakers >= 0, f"train_speakers is {self.train_speakers}; it must be positive, or 0 for all")

    @property
    def _generates_faces(self) -> bool:
        return self.model.direction == "audio_to_face"


_STAGE_SETTINGS = {
    "pretrain": ("steps",), "calibrate": ("steps",), "recognise": ("steps", "batch_size", "learning_rate"),
}  # fmt: skip
"""Settings of a stage's training that other stages do not share."""
_SHARED = (
    "interval", "seed", "batch_size", "accumulate", "learning_rate", "d_learning_rate", "g_ema", "precision", "xla",
)  # fmt: skip
"""Settings that both GAN stages share."""
_REGULARISATION = ("smoothing", "decay", "weights", "start", "consistency", "certainty")
"""Settings of the strong recogniser whose flags have the prefix `recognise_`."""


def _defaults() -> dict[str, Any]:
    parts = {"model", "loss", "strong", "format", *_STAGE_SETTINGS}

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
            f"{name}_{key}": getattr(getattr(RunConfig, name), key)
            for name, keys in _STAGE_SETTINGS.items()
            for key in keys
        },
        **vars(STRONG.augment),
        **{f"recognise_{name}": getattr(STRONG, name) for name in _REGULARISATION},
    }


DEFAULTS: Mapping[str, Any] = _defaults()
"""Default of each setting of a run, by flag name; the defaults of settings in `RECIPES` depend on the generator."""


def _recipe_for(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The generator's recipe, without settings that contradict the given ones."""
    shared = values["schedule"] == "progressive" and not values["pretrained"] and values["batch_size"] >= 4
    defaults = recipe(values["generator"], pretrains=shared, direction=values["direction"])
    if given.get("d_sees_source") is False or values["batch_size"] < 2:
        defaults["lambda_mismatch"] = 0.0
    return defaults


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
"""Defaults of each generator that differ from those of the settings' classes, which are the paper's or close to it. Chosen on
validation folds; see docs/results.md."""


def recipe(generator: str, *, pretrains: bool = True, direction: str = "face_to_audio") -> dict[str, Any]:
    """Returns the defaults of a generator for all settings whose default depends on the generator, by name.

    Args:
        generator: one of `emogan.config.GENERATORS`.
        pretrains: whether the run pretrains; otherwise there are no unlabelled clips to use in calibration.
        direction: one of `emogan.config.DIRECTIONS`; if faces are generated, inputs of D and Q are not augmented and faces
            are not varied.
    """
    classes = RunConfig, ModelConfig, LossConfig, TrainConfig
    defaults = {field.name: field.default for cls in classes for field in dataclasses.fields(cls)}
    names = sorted({name for settings in RECIPES.values() for name in settings})
    values = {name: RECIPES[generator].get(name, defaults[name]) for name in names}
    unused = {} if pretrains else {"unlabelled_share": 0.0}
    if direction == "audio_to_face":
        unused |= {"diff_augment": False, "q_augment": False, "vary_faces": False}
    return values | unused
