"""The table of results: its lines, their groups and their format."""

import pytest

from trainers.reports import run_table
from trainers.reports.run_table import Result


def test_results_are_the_evaluation_lines_and_the_last_measurement_counts():
    lines = [
        {"stage": "calibrate", "step": 5, "g_l1_loss": 0.2},
        {"stage": "evaluate", "name": "fid", "value": 61.5, "n": 40, "about": "a", "on": "f", "time": "now"},
        {"stage": "evaluate", "name": "ssim", "value": 0.4, "n": 40, "about": "b", "low": 0.3, "high": 0.5},
        {"stage": "evaluate", "name": "fid", "value": 60.0, "n": 40, "about": "a", "on": "f"},
    ]
    assert run_table.read_results(lines) == [
        Result(name="fid", value=60.0, n=40, about="a", on="f"),
        Result(name="ssim", value=0.4, n=40, about="b", low=0.3, high=0.5),
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("bare_accuracy", "Bare accuracy"),
        ("gan_strong_macro_f1", "GAN strong macro F1"),
        ("fid_real_vs_real", "FID real vs real"),
        ("is_real", "IS real"),
        ("ssim_class_mean", "SSIM class mean"),
    ],
)
def test_labels(name, label):
    assert Result(name=name, value=0.5, n=1).label == label


def test_shares_are_percent_differences_have_signs_and_others_four_digits():
    uar = {"name": "bare_uar", "value": 0.5512, "n": 9, "is_share": True}
    assert Result(**uar).shown == "55.1%"
    assert Result(**uar, deviation=0.012).shown == "55.1 ± 1.2%"
    assert Result(name="density", value=0.5, n=9).shown == "0.5"
    assert Result(name="spread", value=None, n=0).shown == "not measured"
    assert Result(name="fid", value=59.7731, n=9).shown == "59.77"
    assert Result(name="kid", value=-0.00041, n=9).shown == "-0.00041"
    points = {"n": 9, "is_share": True, "is_difference": True}
    difference = Result(name="accuracy_gan_minus_bare", value=0.0333, low=-0.011, high=0.0776, **points)
    assert (difference.shown, difference.interval) == ("+3.3 points", "-1.1 to +7.8 points")
    difference = Result(name="ssim_paired_minus_shuffled", value=0.02, n=9, low=0.01, high=0.03, is_difference=True)
    assert difference.interval == "+0.01 to +0.03"
    assert Result(name="fid", value=1.0, n=9).interval == ""


def test_groups_keep_their_order_and_empty_ones_are_left_out():
    groups = {
        "ssim_shuffled": run_table.REFERENCE,
        "uar": run_table.RECOGNITION,
        "ssim_class_mean": run_table.REFERENCE,
    }
    results = [Result(name=name, value=0.1, n=1, group=group) for name, group in groups.items()]
    groups = run_table.grouped(results)
    assert list(groups) == ["Recognition", "Reference rows"]
    assert [result.name for result in groups["Reference rows"]] == ["ssim_shuffled", "ssim_class_mean"]


def test_the_terminal_table_is_aligned():
    results = [
        Result(
            name="strong_accuracy",
            value=0.55,
            n=120,
            about="trained on real",
            group=run_table.RECOGNITION,
            is_share=True,
        ),
        Result(name="fid", value=59.7731, n=120, on="features"),
    ]
    assert run_table.results_table(results).splitlines() == [
        "                   value  95% interval    n  computed on",
        "Recognition",
        "  Strong accuracy  55.0%                120  trained on real",
        "Generated quality",
        "  FID              59.77                120  features",
    ]


def test_a_run_without_results_is_described_as_such():
    assert run_table.results_table([]) == "no results yet\n"


def test_every_case_of_the_paper_beats_its_baseline():
    # The paper's own claim; a row or a corpus in the wrong place would break it.
    baseline = run_table.PAPER_TABLE_1["baseline"]
    for case, corpora in run_table.PAPER_TABLE_1.items():
        for corpus, figures in corpora.items():
            assert len(figures) == (1 if case == "baseline" else len(run_table.PAPER_COLUMNS))
            assert figures[0] >= baseline[corpus][0]
