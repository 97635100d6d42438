"""The tables of a study in plain text, Markdown and LaTeX."""

import dataclasses

import pytest

from trainers.study import report, tables


@pytest.fixture
def found(result):
    gan = {"accuracy": 0.55, "uar": 0.5, "macro_f1": 0.45, "fid": 2.345, "is": 3.4567, "ssim": 0.1234, "spread": 0.0912}
    return [result("baseline"), result("progressive_supervised", 0.051, 0.001, mean=gan), result("mixup", -0.02, 0.4)]


def test_a_row_has_every_figure_with_its_spread(found):
    baseline, gan, mixup = tables.rows(found)
    assert baseline.cells == ("bare", "50.0 ± 1.2", "40.0 ± 2.0", "30.0 ± 3.0", "", "", "", "", "", "")
    assert gan.cells[4:] == ("+5.1 (+0.1 to +10.1) *", "0.002", "2.35", "3.46", "0.123", "0.0912")
    assert mixup.cells[4:6] == ("-2.0 (-7.0 to +3.0)", "0.800")
    assert (baseline.paper, gan.paper, mixup.paper) == (("49.34",), ("53.71", "59.60", "2.31", "0.85"), ())


def test_rows_based_on_the_strong_recogniser_have_no_values_of_the_paper(result):
    strong, gan = tables.rows(
        [result("baseline", 0.1, 0.01, "strong"), result("progressive_supervised", 0.02, 0.3, "gan_strong")]
    )
    assert (strong.cells[0], strong.paper, gan.cells[0], gan.paper) == (
        "strong",
        (),
        "progressive supervised + strong",
        (),
    )


def test_a_p_value_is_never_zero():
    assert [tables.p_value(p) for p in (0.0, 0.00099, 0.001, 1.0)] == ["< 0.001", "< 0.001", "0.001", "1.000"]


def test_without_an_interval_the_table_gives_the_reason(found):
    compared = dataclasses.replace(found[1].comparison, low=None, high=None, p=None, speakers=4)
    assert tables.interval(compared) == "+5.1 (no interval: 4 speakers)"
    agreeing = dataclasses.replace(compared, speakers=8, no_interval="all 8 speakers agree")
    assert tables.interval(agreeing) == "+5.1 (no interval: all 8 speakers agree)"


def test_main_results_leave_out_sweeps_and_low_data(found, result):
    places = [dataclasses.replace(found[2].place, **change) for change in ({"share": 0.2}, {"train_speakers": 3})]
    swept = [result("mixup", 0.1, place=place) for place in places]
    assert tables.main_results([*found, *swept], "crema_d_av") == found
    assert tables.main_results(found, "ravdess_av") == []
    alone = dataclasses.replace(found[2].place, dataset="ravdess_av", train_speakers=3)
    assert tables.datasets_of([*found, result("mixup", 0.1, place=alone)]) == ["crema_d_av"]


def test_markdown_has_a_line_for_each_case_with_the_papers_figures(found):
    text = tables.markdown(found)
    assert "## CREMA-D\n\n4 folds x seeds, 8 test speakers.\n" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| progressive supervised | 55.0 ± 1.2 |")
    assert lines[3].endswith("| 53.71 | 59.60 | 2.31 | 0.85 |")


def test_synthetic_corpora_are_called_so_in_every_table(found):
    made = [dataclasses.replace(one, synthetic=True) for one in found]
    for text in (tables.markdown(made), tables.latex(made), tables.text_table(made)):
        assert "CREMA-D (synthetic)" in text
    assert "synthetic" not in tables.markdown(found)


def test_latex_escapes_what_it_must_and_has_as_many_cells_as_columns(found):
    text = tables.latex(found)
    assert r"accuracy \%" in text
    assert "±" not in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    columns = len(tables.COLUMNS) + 4
    assert {line.count("&") for line in body} == {columns - 1}
    assert f"{{l{'r' * (columns - 1)}}}" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1


def test_the_terminals_table_is_aligned(found):
    lines = tables.text_table(found).splitlines()
    assert lines[0] == "CREMA-D, 4 folds x seeds, 8 test speakers"
    assert lines[1].index("accuracy %") == lines[2].index("50.0") == lines[3].index("55.0")


def test_the_verdict_is_of_the_primary_comparisons(found, result):
    better = report.verdict(found)
    assert "rogressive supervised is better than bare by 5.1 points (95%: +0.1 to +10.1)" in better
    assert "corrected for 1 primary comparison" in better
    on_top = result("moderate_supervised", -0.2, 0.0001, "gan_strong")
    assert "oderate supervised + strong is worse than strong by 20.0 points" in report.verdict([found[0], on_top])
    none = report.verdict([found[0], result("progressive_supervised", 0.01, 0.9)])
    assert "significant" in none
    assert report.verdict([found[0], found[2]]) == report.verdict(found[:1])  # mixup is none of them
    few = result("progressive_supervised", 0.1, adjusted_p=None)
    agreeing = dataclasses.replace(few.comparison, low=None, high=None, p=None, no_interval="all 8 speakers agree")
    few = dataclasses.replace(few, comparison=agreeing)
    assert "all 8 speakers agree" in report.verdict([found[0], few])
    assert "no interval" in report.verdict([*found, few])
