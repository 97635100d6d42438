"""Insufficient data of a run are reported before anything is trained."""

import dataclasses

import pytest

from emogan.config import PRESETS, LossConfig, RecogniserConfig, TrainConfig
from emogan.errors import UserError
from trainers.runs import needs, phases
from trainers.runs.config import RunConfig
from trainers.runs.opening import open_job
from trainers.study import running
from trainers.study.estimate import Estimate
from trainers.study.plan import Study

STEPS = TrainConfig(steps=4, batch_size=4, interval=2)
CONFIG = RunConfig(
    pretrain_dataset="voxceleb_av", dataset="crema_d_av", test_fold=2, schedule="moderate", model=PRESETS["tiny"],
    loss=LossConfig(), pretrain=STEPS, calibrate=STEPS, recognise=STEPS, strong=RecogniserConfig(),
)  # fmt: skip


@pytest.fixture(scope="module")
def uneven(fewer_clips):
    """A corpus with fear only in folds 0 and 1, no disgust in fold 1, and three clips in fold 3: anger, happy, neutral."""
    missing = [f"{actor}_*_FEA_*" for actor in (1037, 1055, 1073)]
    missing += ["1019_*_DIS_*", "1055_*_DIS_*", "1055_*_SAD_*"]
    return fewer_clips(*missing)


@pytest.fixture(scope="module")
def without_fear(fewer_clips):
    return fewer_clips("*_FEA_*")


def test_a_run_with_sufficient_data_is_opened_with_warnings_about_gaps(uneven):
    for changes in ({}, {"condition": "face"}, {"generated_filter": True}):
        job = open_job(dataclasses.replace(CONFIG, **changes), uneven)
    validation, test = needs.gaps(job)
    assert "fold_3" in validation
    assert "disgust, fear, sad" in validation
    assert "fold_2" in test
    assert "fear" in test
    assert phases.describe(job, uneven / "run").splitlines()[-2:] == [validation, test]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_fold": 0}, ["fold_2+fold_3+fold_4", "examples of fear;", "--test_fold"]),
        ({"test_fold": 0, "schedule": "none"}, ["examples of fear;"]),
        ({"test_fold": 3}, ["fold_3", "3 clips", "--test_fold", "--schedule=none"]),
        ({"test_fold": 4, "condition": "face"}, ["f_S", "only fold_1", "fear", "--train_speakers"]),
        ({"test_fold": 4, "generated_filter": True}, ["judge", "only fold_1", "fear"]),
        ({"train_speakers": 2, "condition": "face"}, ["--train_speakers"]),
        ({"inception": "/nowhere"}, ["Inception", "/nowhere"]),
    ],
)
def test_missing_data_are_named_with_a_remedy(uneven, changes, words):
    with pytest.raises(UserError) as refused:
        open_job(dataclasses.replace(CONFIG, **changes), uneven)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("changes", [{"test_fold": 3, "schedule": "none"}, {"test_fold": 4}])
def test_data_that_no_stage_needs_may_be_missing(uneven, changes):
    assert open_job(dataclasses.replace(CONFIG, **changes), uneven)


def test_a_class_missing_from_few_speakers_names_the_flag(uneven):
    lacking = 0
    for seed in range(1, 5):
        steps = dataclasses.replace(STEPS, seed=seed)
        try:
            open_job(dataclasses.replace(CONFIG, train_speakers=1, calibrate=steps), uneven)
        except UserError as refused:
            lacking += 1
            assert "--train_speakers (now 1)" in str(refused)  # noqa: PT017
    assert lacking > 0


def test_a_class_without_any_clip_is_reported(without_fear):
    with pytest.raises(UserError) as refused:
        open_job(CONFIG, without_fear)
    assert "no fold has any of fear" in str(refused.value)
    assert "rejections.csv" in str(refused.value)


def test_a_study_is_checked_like_a_run_before_it_starts(uneven, tmp_path):
    study = Study(
        base=CONFIG, datasets=("crema_d_av",), folds={"crema_d_av": (2, 0)}, seeds=(1,),
        cases=("baseline", "moderate_supervised"),
    )  # fmt: skip
    with pytest.raises(UserError, match="examples of fear;"):
        running.run_study(study, uneven, tmp_path / "study", "")
    assert not (tmp_path / "study").exists()


def test_a_dry_run_plans_without_datasets_and_prints_how_to_build_them(tiny_data, tmp_path, run_command):
    flags = ["--preset=tiny", "--dry_run", "--dataset=ravdess_av/64_eight", f"--output_dir={tmp_path / 'runs'}"]
    result = run_command("trainers.progressive", *flags, f"--data_dir={tiny_data}")
    assert result.returncode == 0, result.stderr
    assert '"num_classes": 8' in result.stdout
    assert "trainers.prepare --dataset=ravdess_av --config=64_eight --manual_dir=... " in result.stdout
    assert "--dataset=voxceleb_av" not in result.stdout  # which is there
    assert result.stdout.splitlines()[-1] == needs.CHECKED_LATER
    assert ["recognise_gan", "5,000"] in [line.split()[:2] for line in result.stdout.splitlines()]
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_of_a_study_plans_without_datasets(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "estimate", lambda *_: Estimate(seconds={}, measured=frozenset()))
    study = Study(
        base=dataclasses.replace(CONFIG, schedule="progressive"), datasets=("ravdess_av", "crema_d_av"),
        folds={"ravdess_av": (0,), "crema_d_av": (1,)}, seeds=(1,), cases=("baseline", "progressive_supervised"),
    )  # fmt: skip
    text = running.describe(study, tmp_path / "nowhere", tmp_path / "study", 1)
    assert "to do  ravdess_av/fold_0/seed_1/progressive_supervised" in text
    for name in ("ravdess_av", "crema_d_av", "voxceleb_av"):
        assert text.count(f"trainers.prepare --dataset={name} ") == 1
    assert text.splitlines()[-1] == needs.CHECKED_LATER


WITHOUT_DATA = [
    ({"test_fold": 9}, ["fold 9", "[0, 1, 2, 3, 4]"]),
    ({"dataset": "ravdess_av", "test_fold": 6}, ["fold 6", "[0, 1, 2, 3, 4, 5]"]),
    ({"train_speakers": 56}, ["--train_speakers=56", "from 1 to 55"]),
    ({"dataset": "crema_d_av/nine"}, ["crema_d_av/nine", "64, 128"]),
    ({"dataset": "nobody_av"}, ["nobody_av", "crema_d_av"]),
    ({"dataset": "crema_d_av/128"}, ["128 pixels", "preset", "64"]),
    ({"dataset": "voxceleb_av"}, ["no labels"]),
    ({"schedule": "progressive", "pretrain_dataset": "voxceleb_av/64_vox3"}, ["voxceleb_av/64_vox3", "64_vox1"]),
    (
        {"schedule": "progressive", "pretrained": "/nowhere/pretrain"},
        ["--pretrained=/nowhere/pretrain", "no generator"],
    ),
    ({"inception": "/nowhere"}, ["Inception", "/nowhere"]),
]


def plan_run(config, folder):
    missing = needs.not_built([config], folder / "nowhere")
    return phases.describe_without_data(phases.planned_classes(config), folder / "run", missing)


def plan_study(config, folder):
    case = "progressive_supervised" if config.schedule == "progressive" else "moderate_supervised"
    study = Study(
        base=config, datasets=(config.dataset,), folds={config.dataset: (config.test_fold,)}, seeds=(1,),
        cases=("baseline", case),
    )  # fmt: skip
    return running.describe(study, folder / "nowhere", folder / "study", 1)


@pytest.mark.parametrize(("changes", "words"), WITHOUT_DATA)
@pytest.mark.parametrize("plan_it", [plan_run, plan_study])
def test_errors_independent_of_the_data_are_reported_before_datasets_are_built(tmp_path, plan_it, changes, words):
    with pytest.raises(UserError) as refused:
        plan_it(dataclasses.replace(CONFIG, **changes), tmp_path)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"test_fold": 4}, {"train_speakers": 55}, {"dataset": "folder_av", "test_fold": 9},
        {"dataset": "ravdess_av/64_eight"},
    ],
)  # fmt: skip
def test_a_run_is_planned_without_datasets_if_they_may_suffice(tmp_path, changes):
    needs.check_settings(dataclasses.replace(CONFIG, **changes))
