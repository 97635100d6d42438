"""Flags set the settings of the same names; the networks of every shipped flagfile can be trained."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import trainers
from emogan import networks
from emogan.config import PRESETS, STRONG, LossConfig, TrainConfig, from_json
from emogan.errors import UserError
from emogan.model import Batch, EmoGAN
from trainers.runs import training
from trainers.runs.config import RECIPES, RunConfig, recipe

CONFIGS = sorted((Path(trainers.__file__).parent / "configs").glob("*.flags"))


def settings_of(*flags):
    """Parses flags in a separate process, since every command has its own flags."""
    script = """
import sys
from absl import flags
import trainers.table1  # whose flags are those of a run and more
from emogan.config import to_json
from trainers.flags import run_config
flags.FLAGS(sys.argv)
print(to_json(run_config()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *flags, "--data_dir=tfds", "--study_dir=study"],
        capture_output=True,
        text=True,
        check=True,
    )
    return from_json(RunConfig, done.stdout)


def test_old_names_of_flags_set_the_new_settings():
    config = settings_of("--take_over=encoder", "--keep=best", "--control=no_face")
    assert (config.transfer, config.select_weights, config.ablation) == ("encoder", "best", "no_face")


def test_flags_have_the_defaults_of_the_settings():
    config = settings_of("--generator=unet")
    stage = TrainConfig(steps=500)
    assert (config.loss, config.strong, config.model) == (LossConfig(), STRONG, PRESETS["64"])
    assert config.calibrate == dataclasses.replace(stage, steps=50_000)
    for field in dataclasses.fields(RunConfig):
        if field.default is not dataclasses.MISSING:
            assert getattr(config, field.name) == field.default, field.name


def test_from_preset_equals_the_flags():
    assert RunConfig.from_preset() == settings_of()
    for given in (
        {"dataset": "ravdess_av", "test_fold": 2, "calibrate_steps": 1000, "draws": 3},
        {"generator": "unet", "mixup": 0.0, "recognise_consistency": 1.0, "precision": "mixed_bfloat16"},
        {"schedule": "none", "batch_size": 2, "lambda_q": 2.0},
    ):  # fmt: skip
        flags = [f"--{name}={value}" for name, value in given.items()]
        assert RunConfig.from_preset("128", **given) == settings_of("--preset=128", *flags)


@pytest.mark.parametrize(
    ("preset", "given", "message"), [("64", {"speed": 1}, "speed"), ("65", {}, "preset.*65.*tiny")]
)
def test_presets_and_settings_that_there_are_not_are_refused(preset, given, message):
    with pytest.raises(UserError, match=message):
        RunConfig.from_preset(preset, **given)


def test_a_generator_has_its_own_defaults_for_settings_not_given():
    defaults = recipe("modulated")
    assert set(defaults) == {name for settings in RECIPES.values() for name in settings} == set(recipe("unet"))
    config = settings_of()
    assert config == settings_of("--generator=unet").with_generator("modulated")
    for name, value in defaults.items():
        parts = config, config.model, config.loss, config.calibrate
        assert any(getattr(part, name, None) == value for part in parts), name
    given = settings_of("--lambda_l1=7", "--nodiff_augment", "--noise_dim=9")
    assert (given.loss.lambda_l1, given.loss.diff_augment, given.model.noise_dim) == (7, False, 9)
    assert given.loss.lambda_code == config.loss.lambda_code
    assert settings_of("--schedule=moderate").unlabelled_share == 0 < config.unlabelled_share
    alone = settings_of("--batch_size=1", "--nod_sees_source")
    assert (alone.unlabelled_share, alone.loss.lambda_mismatch) == (0, 0)


def test_flags_make_the_settings_of_their_names():
    config = settings_of(
        "--preset=tiny", "--spectral_norm", "--pretrain_steps=400", "--calibrate_steps=200", "--recognise_steps=100",
        "--interval=50", "--batch_size=4", "--recognise_batch_size=8", "--seed=7", "--mixup=0.5", "--test_fold=3",
        "--select_weights=best", "--pretrained=other/pretrain", "--inception=inception",
    )  # fmt: skip
    assert (config.pretrained, config.inception) == tuple(map(os.path.abspath, ("other/pretrain", "inception")))
    tiny = dataclasses.replace(PRESETS["tiny"], generator="modulated", d_sees_source=True, noise_dim=32)
    assert config.model == dataclasses.replace(tiny, spectral_norm=True)
    assert [stage.steps for stage in (config.pretrain, config.calibrate, config.recognise)] == [400, 200, 100]
    assert [stage.batch_size for stage in (config.pretrain, config.calibrate, config.recognise)] == [4, 4, 8]
    assert {stage.seed for stage in (config.pretrain, config.calibrate, config.recognise)} == {7}
    assert {stage.interval for stage in (config.pretrain, config.calibrate, config.recognise)} == {50}
    assert (config.strong.augment.mixup, config.test_fold, config.select_weights, config.recognise.beta_1) == (
        0.5,
        3,
        "best",
        0.9,
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_flagfile_is_built_and_stepped_once(path, rng):
    config = settings_of(f"--flagfile={path}")
    train, size = dataclasses.replace(config.calibrate, batch_size=1, accumulate=1), config.model.size
    gan = EmoGAN(
        generator=networks.build_generator(config.model),
        discriminator=networks.build_discriminator(config.model),
        classifier=networks.build_classifier(config.model),
        loss=config.loss,
        train=train,
    )
    gan.compile(**{f"{player}_optimizer": training.adam(train) for player in "gdq"})
    batch = Batch(
        source=tf.constant(rng.uniform(-1, 1, (1, size, size, 3)), tf.float32),
        target=tf.constant(rng.uniform(-1, 1, (1, size, size, 1)), tf.float32),
        condition=tf.one_hot([2], 6),
        noise=tf.zeros([1, config.model.noise_dim]),
        key=tf.constant([[1, 0]], tf.int64),
        other_source=tf.zeros([1, size, size, 3]),
        other_speaker=tf.ones([1]),
    )
    watched = [network.trainable_variables[-1] for network in (gan.generator, gan.discriminator, gan.classifier)]
    before = [variable.numpy() for variable in watched]
    gan.train_step(batch)
    for variable, value in zip(watched, before, strict=True):
        assert 0 < np.abs(variable.numpy() - value).max() < 0.01
