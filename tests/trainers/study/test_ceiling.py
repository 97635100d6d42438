"""The gain relative to the oracle, for differences worked out by hand; all intervals are ± 5 points."""

import pytest

from trainers.study.ceiling import ceilings, cells

ON_BARE = {"oracle": 0.08, "progressive_supervised": 0.03, "moderate_supervised": -0.02}


def on_bare(result, **changes):
    return [result("baseline"), *(result(case, gain, 0.5) for case, gain in (ON_BARE | changes).items())]


def test_the_best_case_is_a_share_of_the_oracle_and_the_highest_end_says_what_is_excluded(result):
    (found,) = ceilings(on_bare(result))
    assert (found.base, found.best.place.case) == ("bare", "progressive_supervised")
    assert (found.share, found.upper) == (pytest.approx(3 / 8), pytest.approx(0.08))
    assert cells(found) == (
        "bare", "+8.0 (+3.0 to +13.0)", "progressive supervised", "+3.0 (-2.0 to +8.0)", "38%", "+8.0",
    )  # fmt: skip


def test_rows_based_on_strong_have_their_own_ceiling_and_strong_itself_is_no_case(result):
    strong = [
        result("baseline", 0.15, 0.01, "strong"),
        result("oracle", 0.06, 0.01, "oracle_strong"),
        result("progressive_supervised", -0.01, 0.9, "gan_strong"),
        result("from_d", 0.015, 0.9),
    ]
    on_bare_rows, on_strong = ceilings([*on_bare(result), *strong])
    assert on_bare_rows.best.place.case == "progressive_supervised"
    assert (on_strong.base, on_strong.best.place.case, on_strong.share) == ("strong", "from_d", pytest.approx(1 / 4))


def test_there_is_no_share_unless_the_oracle_is_above_zero(result):
    (found,) = ceilings(on_bare(result, oracle=0.04))
    assert found.share is None
    assert found.upper == pytest.approx(0.08)


@pytest.mark.parametrize("without", ["oracle", "the others"])
def test_without_an_oracle_or_other_cases_there_is_no_ceiling(result, without):
    kept = [one for one in on_bare(result) if (one.place.case == "oracle") == (without == "the others")]
    assert not ceilings([result("baseline"), *kept])
