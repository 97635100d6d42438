"""The flags of a run, a module for each group of them, and the settings they make: `run_config`.

A flag has the name of the setting that it makes. Imports no TensorFlow, so that help is quick.
"""

import dataclasses
from types import ModuleType
from typing import Any

from absl import flags

from emogan.config import PRESETS, AugmentConfig, LossConfig, RecogniserConfig, TrainConfig
from trainers.flags import data, losses, method, networks, recognition, strong, training
from trainers.run_config import RunConfig, recipe

REGULARISED = ("smoothing", "decay", "weights", "start", "consistency", "certainty")
"""Settings of the strong recogniser whose flags begin with `recognise_`."""

for _group in (data, method, networks, losses, training, recognition, strong):
    flags.adopt_module_key_flags(_group)


def run_config() -> RunConfig:
    """The settings that the parsed flags make.

    Raises:
        UserError: where they contradict each other.
    """
    usual = _usual()
    groups = data, networks, losses, training, recognition, strong
    about_data, shape, loss, train, recognise, augment = (_values(group, usual) for group in groups)
    preset = PRESETS[shape.pop("preset")]
    pretrain_steps, calibrate_steps = train.pop("pretrain_steps"), train.pop("calibrate_steps")
    own = {name: recognise.pop(f"recognise_{name}") for name in ("steps", "batch_size", "learning_rate")}
    regularised = {name: augment.pop(f"recognise_{name}") for name in REGULARISED}
    return RunConfig(
        **about_data,
        **_values(method, usual),
        pretrain=TrainConfig(steps=pretrain_steps, **train),
        calibrate=TrainConfig(steps=calibrate_steps, **train),
        recognise=TrainConfig(**own, interval=train["interval"], seed=train["seed"], beta_1=0.9),
        **recognise,
        model=dataclasses.replace(preset, **shape),
        loss=LossConfig(**loss),
        strong=RecogniserConfig(
            augment=AugmentConfig(**augment), balance_classes=about_data["balance_classes"], **regularised
        ),
    )


def _usual() -> dict[str, Any]:
    """The generator's own settings, but for those that the given flags leave without a use."""
    given = flags.FLAGS
    shared = given.schedule == "progressive" and not given.pretrained and given.batch_size >= 4
    usual = recipe(given.generator, pretrains=shared, direction=given.direction)
    if given.d_sees_source is False or given.batch_size < 2:
        usual["lambda_mismatch"] = 0.0
    return usual


def _values(group: ModuleType, usual: dict[str, Any]) -> dict[str, Any]:
    """What the flags of a group say, and what is usual where they say nothing."""
    values = {flag.name: flag.value for flag in flags.FLAGS.flags_by_module_dict()[group.__name__]}
    return {name: usual[name] if value is None else value for name, value in values.items()}
