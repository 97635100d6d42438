"""A plan runs each stage once, shared stages first, and its cases differ as defined."""

import dataclasses

import pytest

from emogan.config import BARE, PRESETS, STRONG, LossConfig, differences
from emogan.errors import UserError
from trainers.reports.run_table import PAPER_TABLE_1
from trainers.runs.recognisers import RECOGNISERS, recognisers
from trainers.study.cases import CASES, GROUPS, LOW_DATA_CASES, SWEPT_CASE
from trainers.study.plan import Study, plan

OTHER_STRONG = ("baselines", "unlabelled")
"""Groups of cases with another strong recogniser."""
ROWS = [(case, name) for case in CASES.values() for name in case.recognisers]


@pytest.fixture
def base(small):
    return small.run_config(model=PRESETS["tiny"]).with_generator("modulated")


@pytest.fixture
def study(base):
    return Study(
        base=base,
        datasets=("crema_d_av", "ravdess_av"),
        folds={"crema_d_av": (0, 1), "ravdess_av": (2,)},
        seeds=(1, 2),
        cases=tuple(name for name in CASES if name != "oracle"),
        shares=(0.25,),
        low_data=(3, 6),
    )


def test_every_stage_is_done_once_and_before_it_is_linked_to(study):
    done = set()
    for run in plan(study):
        for target in run.links.values():
            assert target in done, (run.path, target)
        stages = {f"{run.path}/{stage}" for stage in run.stages}
        assert not stages & done
        assert not set(run.stages) & set(run.links)
        done |= stages


def test_shared_stages_are_done_as_often_as_needed(study):
    runs = plan(study)
    count = {
        stage: sum(stage in run.stages for run in runs)
        for stage in ("pretrain", "face_classifier", "recognise_bare", "recognise_strong")
    }
    folds, seeds, sizes = 3, 2, 3  # all training speakers, 6 and 3
    assert count == {
        "pretrain": 2,  # one for each generator
        "face_classifier": folds,
        "recognise_bare": folds * seeds * sizes,
        "recognise_strong": folds * seeds * (sizes + sum(case.group in OTHER_STRONG for case in CASES.values())),
    }


def test_ways_to_use_a_gan_share_it(study):
    runs = {run.path: run for run in plan(study)}
    used = [run for run in runs.values() if run.place and CASES[run.place.case].group == "uses"]
    assert len(used) == 7 * 6
    for run in used:
        gan = runs[run.links["calibrate"].removesuffix("/calibrate")]
        assert gan.place.case == "progressive_supervised"
        assert dataclasses.replace(gan.place, case=run.place.case) == run.place
        assert {"draw", "recognise_gan_strong"} <= set(run.stages)
        assert ("judge" in run.stages) == (run.place.case in ("use_readings", "use_filtered"))
        assert ("face_classifier" in run.links) == (run.place.case == "use_read_faces")
    with pytest.raises(UserError, match=r"use_first .*progressive_supervised"):
        dataclasses.replace(study, cases=("baseline", "use_first"), shares=())


def test_weights_of_generated_examples_do_not_change_a_recogniser_of_them_alone(study):
    for run in plan(study):
        if run.place and CASES[run.place.case].group == "uses":
            linked = run.place.case in ("use_lighter", "use_first")
            assert ("recognise_generated" in run.links) == linked
    alone = dataclasses.replace(study, base=dataclasses.replace(study.base, generated_alone=False))
    assert not any("recognise_generated" in (*run.stages, *run.links) for run in plan(alone))


def test_the_unlabelled_clips_are_added_to_the_studys_own_strong_recogniser(study):
    strong = dataclasses.replace(STRONG, smoothing=0.2)
    runs = plan(dataclasses.replace(study, base=dataclasses.replace(study.base, strong=strong)))
    changed = {run.place.case: differences(strong, run.config.strong) for run in runs if run.place}
    assert (changed["baseline"], changed["from_d"]) == ("", "start: random, discriminator")
    assert changed["consistent"] == "consistency: 0.0, 1.0"
    assert {
        run.place.case for run in runs if run.place and "pretrain" in run.links and run.config.schedule == "none"
    } == {"from_d"}


@pytest.mark.parametrize("pretrained", ["", "runs/other/pretrain"])
def test_a_study_whose_strong_recogniser_starts_from_d_pretrains_for_it(study, pretrained):
    strong = dataclasses.replace(STRONG, start="discriminator")
    base = dataclasses.replace(study.base, schedule="progressive", strong=strong, pretrained=pretrained)
    runs = plan(
        dataclasses.replace(study, base=base, cases=("baseline", "moderate_supervised"), shares=(), low_data=())
    )
    assert [run.path for run in runs if "pretrain" in run.stages] == ([] if pretrained else ["pretrained"])
    for run in runs:
        assert not run.place or (run.config.pretrained, "pretrain" in run.links) == (pretrained, not pretrained)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, set()),
        ({"generator": "unet"}, {"unet", "unet_moderate", "unet_no_face", "use_revoiced"}),
        ({"direction": "audio_to_face"}, {"use_revoiced", "consistent"}),
        ({"pretrained": "runs/other/pretrain"}, {"unet", "unet_moderate", "unet_no_face"}),
    ],
)
def test_the_cases_that_a_study_can_have(base, changes, missing):
    if "direction" in changes:
        base = dataclasses.replace(base, loss=dataclasses.replace(base.loss, diff_augment=False, q_augment=False))
    if "pretrained" in changes:
        base = dataclasses.replace(base, **changes)
    elif "generator" in changes:
        base = base.with_generator(**changes)
    else:
        base = dataclasses.replace(base, model=dataclasses.replace(base.model, **changes))
    fitting = [name for name, case in CASES.items() if case.fits(base)]
    assert {*CASES} - {*fitting} == missing | {"oracle"}  # the oracle needs left out speakers
    assert plan(
        Study(base=base, datasets=("crema_d_av",), folds={"crema_d_av": (0,)}, seeds=(1,), cases=tuple(fitting))
    )


def test_with_few_training_speakers_each_seed_has_its_own_speakers_and_f_s(study):
    few = dataclasses.replace(study, base=dataclasses.replace(study.base, train_speakers=9))
    runs = {run.path: run for run in plan(few)}
    readers = [run for run in runs.values() if run.stages == ("face_classifier",)]
    assert len(readers) == 3 * 2  # folds and seeds
    for run in runs.values():
        assert run.config.train_speakers == ((run.place and run.place.train_speakers) or 9)
        if run.place and run.config.condition == "face":
            reader = runs[run.links["face_classifier"].removesuffix("/face_classifier")].config
            assert (reader.calibrate.seed, reader.train_speakers) == (run.place.seed, 9)


def test_every_case_runs_on_every_fold_and_seed(study):
    places = [run.place for run in plan(study) if run.place]
    assert len(places) == len(set(places))
    for case in study.cases:
        full = {(p.dataset, p.fold, p.seed) for p in places if p.case == case and not p.train_speakers and not p.share}
        assert len(full) == 6
        assert {p.train_speakers for p in places if p.case == case} == ({0, 3, 6} if case in LOW_DATA_CASES else {0})
        assert {p.share for p in places if p.case == case} == ({0.0, 0.25} if case == SWEPT_CASE else {0.0})


def test_a_run_has_the_settings_of_its_place(study):
    for run in plan(study):
        if run.place:
            config = run.config
            assert (config.dataset, config.test_fold) == (run.place.dataset, run.place.fold)
            assert config.calibrate.seed == config.recognise.seed == run.place.seed
            generator = config.model.generator
            assert config.pretrain == study.base.with_generator(generator).pretrain
            assert config.train_speakers == run.place.train_speakers
            assert config.generated_share == (run.place.share or study.base.generated_share)


def test_all_recognisers_are_trained_alike_but_for_what_is_compared(study):
    compared = {"schedule", "condition", "use_classifier", "strong", "ablation", "unlabelled_share"}
    used = {
        "draw_from",
        "requests",
        "revoice",
        "generated_weight",
        "generated_until",
        "generated_targets",
        "generated_filter",
    }
    placed = {"dataset", "test_fold", "train_speakers", "calibrate", "recognise", "generated_share"}
    base = dataclasses.replace(study.base, flip_faces=True, freeze_encoder=True)
    for run in plan(dataclasses.replace(study, base=base)):
        if "unet" in run.path:
            continue  # another generator has other settings
        config = run.config
        different = {f.name for f in dataclasses.fields(config) if getattr(config, f.name) != getattr(base, f.name)}
        own = used if run.place and CASES[run.place.case].group == "uses" else set()
        assert different <= compared | placed | own | {"freeze_encoder"}, run.path
        assert config.flip_faces
        assert config.freeze_encoder == (config.schedule == "progressive")
        if run.place and CASES[run.place.case].group not in OTHER_STRONG:
            assert config.strong == base.strong
        if run.place and run.place.case == "spec_augment":
            assert differences(BARE, config.strong) == "augment.time_masks: 0, 2; frequency_masks: 0, 2"
        if run.place:
            assert {f"recognise_{name}" for name in recognisers(config)} == {
                stage for stage in (*run.stages, *run.links) if stage.startswith("recognise_")
            }


def test_the_papers_generator_is_compared_with_its_own_settings(study):
    base = study.base
    assert (base.loss.lambda_l1, base.model.d_sees_source, base.calibrate.g_ema) == (0, True, 0.998)
    runs = [run for run in plan(study) if run.config.model.generator == "unet"]
    assert {run.path for run in runs if run.place is None} == {"pretrained_unet"}
    assert {run.place.case for run in runs if run.place} == {"unet", "unet_moderate", "unet_no_face"}
    for run in runs:
        unet = base.with_generator("unet")
        assert (run.config.model, run.config.loss) == (unet.model, LossConfig())
        if run.place:
            assert dataclasses.replace(run.config.calibrate, seed=1) == dataclasses.replace(unet.calibrate, seed=1)
            assert dataclasses.replace(run.config.recognise, seed=1) == dataclasses.replace(unet.recognise, seed=1)
            assert (run.config.strong, run.config.draws) == (unet.strong, unet.draws)


@pytest.mark.parametrize(
    "changes", [{"pretrained": "runs/other/pretrain"}, {"model": PRESETS["tiny"], "loss": LossConfig()}]
)
def test_a_generator_that_is_the_studys_own_or_not_pretrained_is_no_case(study, changes):
    with pytest.raises(UserError, match=r"case unet .*--generator"):
        dataclasses.replace(study, base=dataclasses.replace(study.base, **changes))


def test_the_papers_cases_are_there_under_its_names():
    assert {case.title for case in CASES.values() if case.group == "paper"} == set(PAPER_TABLE_1)
    assert {case.group for case in CASES.values()} == set(GROUPS)


def test_the_primary_comparisons_are_the_papers_gans_on_both_recognisers():
    rows = [(case.row_title(name), RECOGNISERS[name].against) for case, name in ROWS if case.is_primary(name)]
    gans = [title for title in PAPER_TABLE_1 if title != "baseline"]
    assert sorted(rows) == sorted([*((t, "bare") for t in gans), *((f"{t} + strong", "strong") for t in gans)])
    titles = [case.row_title(name) for case, name in ROWS]
    assert len(titles) == len(set(titles))
    assert titles[:2] == ["bare", "strong"]


def test_pretraining_on_left_out_speakers_is_of_each_fold_and_seed(study):
    left_out = dataclasses.replace(
        study,
        base=dataclasses.replace(study.base, pretrain_dataset="left_out", train_speakers=9),
        low_data=(),
        cases=tuple(CASES),
    )
    runs = {run.path: run for run in plan(left_out)}
    pretrained = [run for run in runs.values() if "pretrain" in run.stages]
    assert len(pretrained) == 3 * 2 * 2  # folds, seeds and generators
    for run in runs.values():
        if run.config.pretrains and run.place:
            config = runs[run.links["pretrain"].removesuffix("/pretrain")].config
            place = run.place
            assert (config.dataset, config.test_fold, config.calibrate.seed) == (place.dataset, place.fold, place.seed)
            assert (config.model, config.loss) == (run.config.model, run.config.loss)
    oracles = [run for run in runs.values() if run.place and run.place.case == "oracle"]
    assert {run.stages for run in oracles} == {("recognise_oracle", "recognise_oracle_strong", "evaluate")}


def test_an_oracle_without_left_out_speakers_is_refused(study):
    with pytest.raises(UserError, match="oracle"):
        plan(dataclasses.replace(study, cases=("baseline", "oracle"), shares=()))


def test_folds_and_seeds_with_their_own_speakers_are_parts_that_share_only_the_pretraining(study):
    runs = plan(study)
    part_of = {f"{run.path}/{stage}": run.part for run in runs for stage in run.stages}
    for run in runs:
        assert all(part_of[target] in ("", run.part) for target in run.links.values())
        assert run.path.startswith(run.part)
    of_crema_d = {run.part for run in runs if run.part.startswith("crema_d_av")}
    few = {
        f"crema_d_av/{count}_speakers/fold_{fold}/seed_{seed}" for count in (3, 6) for fold in (0, 1) for seed in (1, 2)
    }
    assert of_crema_d == {"crema_d_av/fold_0", "crema_d_av/fold_1"} | few


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cases": ("baseline", "magic")}, "case magic;"),
        ({"cases": ("spec_augment",)}, "case baseline is missing"),
        ({"cases": ("baseline",)}, r"shares .*progressive_supervised"),
        ({"seeds": (1, 1)}, "seeds are 1, 1;"),
        ({"datasets": ()}, "datasets are none;"),
        (
            {"folds": {"crema_d_av": (0, 0), "ravdess_av": (1,)}},
            "folds of crema_d_av are 0, 0;",
        ),
        ({"shares": (0.25, 0.25)}, "shares are 0.25, 0.25;"),
        ({"shares": (0.5,)}, "shares are 0.5; .*generated_share, 0.5"),
        ({"low_data": (0,)}, "low_data is 0;"),
    ],
)
def test_invalid_studies_are_refused(study, changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(study, **changes)
