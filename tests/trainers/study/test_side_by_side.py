"""The comparison of studies: results read from their folders, and gains of parts of the method, checked with scipy."""

import json

import numpy as np
import pytest
from scipy import stats

from emogan.errors import UserError
from trainers.study import results
from trainers.study.side_by_side import increments, write

SPEAKERS = {
    "no_face": [0.4, 0.5, 0.3, 0.6, 0.5, 0.45],
    "moderate_supervised": [0.5, 0.5, 0.4, 0.6, 0.45, 0.5],
}


def of_speakers(result, case, **changes):
    return result(case, 0.02, 0.3, speakers=dict(zip("abcdef", SPEAKERS[case], strict=True)), **changes)


@pytest.fixture
def folder(tmp_path, result):
    """Makes the folder of a study with these results."""

    def make(name, found):
        (tmp_path / name).mkdir()
        lines = [{"stage": "evaluate"}, *({"stage": "summary", **results._as_line(one)} for one in found)]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return tmp_path / name

    return make


def test_results_are_read_back_as_they_were(result, folder):
    sexes = {"female": (0.5, 3), "male": (0.4, 3)}
    found = [
        result("baseline"),
        of_speakers(result, "no_face", by_sex=sexes, whole_minus_this=result("mixup", 0.1, 0.2).comparison),
    ]
    again = results.read(folder("one", found))
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.confusion, other.confusion)
        assert {**vars(one), "confusion": 0} == {**vars(other), "confusion": 0}


def test_the_gain_of_a_part_is_the_mean_over_speakers_with_a_t_interval(result):
    found = [result("baseline"), *(of_speakers(result, case) for case in SPEAKERS)]
    ((part, gain),) = increments(found).items()
    tested = stats.ttest_rel(SPEAKERS["moderate_supervised"], SPEAKERS["no_face"])
    assert part == "the face, on bare"
    assert gain.difference == pytest.approx(0.2 / 6)
    assert gain.p == pytest.approx(tested.pvalue)
    assert (gain.low, gain.high) == pytest.approx(tuple(tested.confidence_interval(0.95)))


def test_cases_tested_on_different_speakers_are_not_compared(result):
    other = result("no_face", 0.1, 0.2, speakers={"x": 0.5})
    with pytest.raises(UserError, match=r"no face .* and moderate supervised .*test speakers"):
        increments([other, of_speakers(result, "moderate_supervised")])


def test_the_table_has_every_case_of_every_study_and_the_image_is_there(result, folder, tmp_path):
    one = folder("face_1", [result("baseline"), *(of_speakers(result, case) for case in SPEAKERS)])
    two = folder("face_0", [result("baseline"), result("moderate_semi_supervised", -0.04, 0.2)])
    text = write([one, two], tmp_path / "out")
    assert (tmp_path / "out" / "comparison.md").read_text() == text
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| face")
    ]
    assert [row[:2] + row[3:4] for row in rows[:5]] == [
        ["face_1", "CREMA-D", "bare"],
        ["face_1", "CREMA-D", "no face (label only)"],
        ["face_1", "CREMA-D", "moderate supervised"],
        ["face_0", "CREMA-D", "bare"],
        ["face_0", "CREMA-D", "moderate semi-supervised"],
    ]
    assert rows[4][7:] == ["-4.0 (-9.0 to +1.0) *", "0.400"]
    assert rows[5][:3] == ["face_1", "CREMA-D", "the face, on bare"]
    assert rows[5][3].startswith("+3.3 (")
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_results_of_an_earlier_version_are_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"stage": "summary", "dataset": "crema_d_av", "case": "baseline"}\n')
    with pytest.raises(UserError, match="earlier version"):
        results.read(tmp_path)


def test_a_study_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no results"):
        write([tmp_path / "none"], tmp_path / "out")


@pytest.fixture
def part(tmp_path):
    """Makes a part of a study: one fold with its two test speakers and both recognisers of the baseline."""

    def make(name, fold):
        folder = tmp_path / name / "study"
        folder.mkdir(parents=True)
        path = f"crema_d_av/fold_{fold}/seed_1/baseline"
        place = {
            "dataset": "crema_d_av",
            "fold": fold,
            "seed": 1,
            "case": "baseline",
            "train_speakers": 0,
            "share": 0.0,
        }
        lines = []
        for recogniser, right in (("bare", 4), ("strong", 6)):
            own = {"run": path, **place, "recogniser": recogniser}
            speakers = [f"{fold}a", f"{fold}b"]
            lines += [
                {**own, "stage": "recognised", "speaker": s, "sex": "", "right": right, "n": 10} for s in speakers
            ]
            lines.append({**own, "stage": "recognised", "classes": ["sad"], "confusion": [[20]]})
            for measure in results.RECOGNITION:
                figure = {"name": f"{recogniser}_{measure}", "value": right / 10, "n": 20}
                lines.append({**own, "recogniser": "", "stage": "evaluate", **figure})
        results._write(lines, folder)
        return folder

    return make


def test_studies_with_the_same_name_are_merged(part, tmp_path):
    text = write([part("here", 0), part("there", 1), part("elsewhere", 2)], tmp_path / "out")
    assert "| study | CREMA-D | 3 | bare | 40.0" in text
    bare, strong = results.read(tmp_path / "out" / "study")
    assert set(bare.speakers) == {"0a", "0b", "1a", "1b", "2a", "2b"}
    assert strong.comparison.difference == pytest.approx(0.2)
    assert (strong.comparison.speakers, strong.runs) == (6, 3)


def test_parts_that_overlap_are_refused(part, tmp_path):
    with pytest.raises(UserError, match="the run crema_d_av/fold_1/seed_1/baseline"):
        write([part("here", 1), part("there", 1)], tmp_path / "out")
