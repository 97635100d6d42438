"""The results of a case, worked out by hand and with scipy."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from trainers.study.cases import CASES
from trainers.study.plan import Place
from trainers.study.results import Measured, summarise

RIGHT = {  # of 10 clips of each speaker, by case and seed
    ("baseline", 1): [5, 5, 6, 4, 5, 7],  # of the bare recogniser
    ("baseline", 2): [5, 7, 6, 4, 7, 7],
    ("progressive_supervised", 1): [6, 6, 8, 4, 7, 8],
    ("progressive_supervised", 2): [7, 8, 7, 6, 7, 9],
    ("mixup", 1): [5, 5, 6, 4, 5, 8],
    ("mixup", 2): [5, 7, 6, 4, 7, 7],
}


def measured(
    case, seed, right, *, recogniser="", fold=0, share=0.0, sexes=("male", "female"), quality=None, counts=None
):
    people = [f"{fold}{number}" for number in range(len(right))]
    accuracy = sum(right) / (10 * len(right))
    return Measured(
        place=Place(
            dataset="crema_d_av",
            fold=fold,
            seed=seed,
            case=case,
            recogniser=recogniser or CASES[case].recognisers[0],
            share=share,
        ),
        recognition={"accuracy": accuracy, "uar": accuracy / 2, "macro_f1": accuracy / 4},
        speakers={person: (count, 10) for person, count in zip(people, right, strict=True)},
        sexes={person: sexes[number % len(sexes)] for number, person in enumerate(people)},
        classes=("anger", "sad"),
        confusion=np.array([[sum(right), 10 * len(right) - sum(right)], [0, 0]]),
        quality=quality or {},
        counts=counts or {},
    )


@pytest.fixture
def found():
    results = summarise([measured(case, seed, right) for (case, seed), right in RIGHT.items()])
    return {result.place.case: result for result in results}


def test_means_and_deviations_are_over_folds_and_seeds(found):
    baseline = found["baseline"]
    assert baseline.runs == 2
    assert baseline.mean["accuracy"] == pytest.approx((32 / 60 + 36 / 60) / 2)
    assert baseline.deviation["accuracy"] == pytest.approx(4 / 60 / np.sqrt(2))
    assert baseline.mean["uar"] == pytest.approx(baseline.mean["accuracy"] / 2)
    assert (baseline.comparison, baseline.adjusted_p, baseline.run_differences) == (None, None, {})


def test_the_difference_is_over_speakers_whose_seeds_are_averaged(found):
    one, two = (np.array(RIGHT["progressive_supervised", s]) - np.array(RIGHT["baseline", s]) for s in (1, 2))
    per_speaker = (one + two) / 20
    tested = stats.ttest_1samp(per_speaker, 0)
    comparison = found["progressive_supervised"].comparison
    assert comparison.difference == pytest.approx(per_speaker.mean())
    assert comparison.p == pytest.approx(tested.pvalue)
    assert (comparison.low, comparison.high) == pytest.approx(tuple(tested.confidence_interval(0.95)))
    assert (comparison.speakers, comparison.seeds) == (6, 2)
    assert found["progressive_supervised"].run_differences == pytest.approx(
        {"fold 0, seed 1": one.sum() / 60, "fold 0, seed 2": two.sum() / 60}
    )


def test_rows_based_on_the_strong_recogniser_are_compared_with_it():
    strong, gan = [7, 6, 8, 5, 7, 8], [8, 6, 9, 5, 8, 8]
    rows = {("baseline", "strong"): strong, ("moderate_supervised", "gan_strong"): gan}
    runs = [measured(case, 1, right, recogniser=name) for (case, name), right in rows.items()]
    bare = measured("baseline", 1, RIGHT["baseline", 1])
    found = {result.title: result for result in summarise([bare, *runs])}
    assert list(found) == ["bare", "strong", "moderate supervised + strong"]
    assert found["moderate supervised + strong"].comparison.difference == pytest.approx(3 / 60)
    assert found["strong"].comparison.difference == pytest.approx((sum(strong) - sum(RIGHT["baseline", 1])) / 60)
    assert found["bare"].comparison is None


def test_unlabelled_clips_without_generation_are_compared_with_the_strong_recogniser():
    rows = {
        ("baseline", "bare"): [1] * 6,
        ("baseline", "strong"): [4, 5, 6, 4, 5, 7],
        ("consistent", "strong"): [5, 6, 7, 5, 6, 8],
        ("mixup", "strong"): [2] * 6,
    }
    found = summarise([measured(case, 1, right, recogniser=name) for (case, name), right in rows.items()])
    differences = {one.place.case: one.comparison.difference for one in found if one.place.case != "baseline"}
    assert differences == pytest.approx({"consistent": 0.1, "mixup": 0.1})
    assert {one.title for one in found} == {"bare", "strong", "consistent + strong", "mixup"}


def test_p_is_corrected_among_the_primary_comparisons_and_among_the_others(found):
    runs = [measured(case, seed, right) for (case, seed), right in RIGHT.items()]
    right = {"moderate_supervised": [6, 6, 6, 4, 6, 7], "noise": [6, 5, 6, 5, 5, 7], "no_face": [5, 5, 6, 5, 5, 7]}
    more = [measured(case, seed, right[case]) for case in right for seed in (1, 2)]
    results = {result.place.case: result for result in summarise([*runs, *more])}
    for family in (("progressive_supervised", "moderate_supervised"), ("mixup", "noise", "no_face")):
        p = sorted(results[case].comparison.p for case in family)
        adjusted = sorted(results[case].adjusted_p for case in family)
        assert adjusted[0] == pytest.approx(min(1, len(p) * p[0]))  # Holm: the smallest, times their number
    assert results["progressive_supervised"].is_primary
    assert not results["no_face"].is_primary


def test_shares_that_were_swept_are_not_counted_as_cases_of_the_table():
    runs = [measured(case, seed, right) for (case, seed), right in RIGHT.items()]
    swept = [measured("progressive_supervised", s, RIGHT["progressive_supervised", s], share=0.25) for s in (1, 2)]
    results = summarise([*runs, *swept])
    assert [result.place.share for result in results] == [0, 0, 0, 0.25]
    for result in (results[1], results[3]):
        assert result.adjusted_p == pytest.approx(result.comparison.p)


def test_folds_are_pooled_over_their_speakers():
    runs = [
        measured(case, seed, right[:3] if fold == 0 else right[3:], fold=fold)
        for (case, seed), right in RIGHT.items()
        for fold in (0, 1)
    ]
    results = {result.place.case: result for result in summarise(runs)}
    whole = summarise([measured(case, seed, right) for (case, seed), right in RIGHT.items()])
    expected = next(result for result in whole if result.place.case == "progressive_supervised").comparison
    got = results["progressive_supervised"].comparison
    assert (got.difference, got.p, got.speakers) == pytest.approx((expected.difference, expected.p, 6))
    assert results["baseline"].runs == 4


def test_below_six_speakers_there_is_no_interval():
    results = summarise([measured(case, seed, right[:5]) for (case, seed), right in RIGHT.items()])
    for result in results[1:]:
        assert (result.comparison.low, result.comparison.p, result.adjusted_p) == (None, None, None)


def test_sexes_speakers_and_confusions_are_summed_over_all_runs(found):
    baseline = found["baseline"]
    assert baseline.by_sex == {"female": (pytest.approx(34 / 60), 3), "male": (pytest.approx(34 / 60), 3)}
    assert baseline.speakers["01"] == pytest.approx((5 + 7) / 20)
    assert baseline.confusion.tolist() == [[68, 52], [0, 0]]


def test_a_corpus_without_sexes_has_no_results_by_sex():
    assert summarise([measured("baseline", 1, [5, 6], sexes=("",))])[0].by_sex == {}


def test_quality_is_averaged_where_there_is_any():
    runs = [
        *(measured("baseline", seed, [5]) for seed in (1, 2)),
        *(
            measured("moderate_supervised", seed, [5], quality={"fid": 2.0 * seed}, counts={"fid": 70 + seed})
            for seed in (1, 2)
        ),
    ]
    baseline, gan = summarise(runs)
    assert "fid" not in baseline.mean
    assert (baseline.counts, gan.counts) == ({}, {"fid": (71, 72)})
    assert (gan.mean["fid"], gan.deviation["fid"]) == (3.0, pytest.approx(np.sqrt(2)))


def test_the_value_of_an_input_is_the_whole_case_minus_the_ablation():
    right = {
        ("baseline", 1): [5, 5, 6, 4, 5, 7], ("moderate_supervised", 1): [6, 6, 8, 4, 7, 8], ("no_face", 1): [5, 6, 8, 5, 7, 7],
    }  # fmt: skip
    found = {one.place.case: one for one in summarise([measured(case, seed, r) for (case, seed), r in right.items()])}
    per_speaker = (np.array(right["moderate_supervised", 1]) - np.array(right["no_face", 1])) / 10
    value = found["no_face"].whole_minus_this
    assert (value.difference, value.p) == pytest.approx((per_speaker.mean(), stats.ttest_1samp(per_speaker, 0).pvalue))
    assert found["moderate_supervised"].whole_minus_this is None


def test_speakers_count_alike_however_many_clips_they_have():
    base, case = (measured(name, 1, [5] * 6) for name in ("baseline", "mixup"))
    many = case.speakers | {"00": (30, 40)}  # 40 clips instead of 10: 75% right, a quarter more than before
    results = summarise([base, dataclasses.replace(case, speakers=many)])
    assert results[1].comparison.difference == pytest.approx(0.25 / 6)
