"""The command of a study, as a user types it: what it leaves, what it does not do twice, and what stops it."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from trainers.run_folder import read_metrics

CASES = ("baseline", "progressive_supervised", "spec_augment")


def done_files(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("done.json")}


def test_every_figure_of_the_table_goes_back_to_the_runs(minute_study):
    lines = read_metrics(minute_study)
    summary = {line["case"]: line for line in lines if line["stage"] == "summary"}
    assert list(summary) == list(CASES)
    for case, line in summary.items():
        name = "baseline_accuracy" if case == "baseline" else "augmented_accuracy"
        values = []
        for fold in (0, 1):
            run = minute_study / "crema_d_av" / f"fold_{fold}" / "seed_1" / case
            own = [row["value"] for row in read_metrics(run) if row["stage"] == "evaluate" and row["name"] == name]
            copied = [
                row["value"]
                for row in lines
                if (row.get("run"), row.get("name")) == (f"crema_d_av/fold_{fold}/seed_1/{case}", name)
            ]
            assert own == copied
            values += own
        assert len(values) == 2
        assert line["mean"]["accuracy"] == sum(values) / 2


def test_what_several_cases_share_is_done_once(minute_study):
    pretrained = (minute_study / "pretrained" / "pretrain").resolve()
    for fold in (0, 1):
        folder = minute_study / "crema_d_av" / f"fold_{fold}" / "seed_1"
        assert (folder / "progressive_supervised" / "pretrain").resolve() == pretrained
        for case in CASES[1:]:
            assert (folder / case / "recognise_baseline").resolve() == folder / "baseline" / "recognise_baseline"
    baselines = [path for path in done_files(minute_study) if "recognise_baseline" in path.parts]
    assert len(baselines) == 2


def test_a_study_that_is_done_is_only_reported_again(minute_study, study_flags, run_command):
    before = done_files(minute_study)
    printed = (minute_study / "printed.txt").read_text()
    (minute_study / "report.html").unlink()
    result = run_command("trainers.table1", *study_flags, f"--study_dir={minute_study}")
    assert (result.returncode, result.stdout) == (0, printed)
    assert done_files(minute_study) == before
    assert (minute_study / "report.html").is_file()


def test_a_dry_run_lists_what_is_left_and_how_long_it_takes(minute_study, study_flags, run_command, tmp_path):
    result = run_command("trainers.table1", *study_flags, f"--study_dir={tmp_path / 'new'}", "--dry_run")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "to do  pretrained: pretrain"
    assert "7 of 7 runs to do: about " in result.stdout
    assert "calibrate: 2 x, " in result.stdout
    assert not (tmp_path / "new").exists()
    again = run_command("trainers.table1", *study_flags, f"--study_dir={minute_study}", "--dry_run").stdout
    assert "0 of 7 runs to do: about 0 min, by the stages done so far" in again


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seeds=1,2", "holds another study"),
        ("--cases=baseline,magic", "there is no case magic"),
        ("--schedule=moderate", "--schedule is decided by the cases and folds of the study"),
        ("--folds=x", "--folds=x must be numbers"),
        ("--folds=7", "test fold 7: crema_d_av/64 has the folds"),
        ("--only=crema_d_av/fold_3", "no part of this study; its parts are crema_d_av/fold_0, crema_d_av/fold_1"),
        ("--datasets=voxceleb_av", "there are no folds of it"),
    ],
)
def test_a_wrong_flag_gets_one_clear_message(minute_study, study_flags, run_command, flag, message, tmp_path):
    folder = minute_study if "seeds" in flag else tmp_path / "study"
    result = run_command("trainers.table1", *study_flags, f"--study_dir={folder}", flag, "--workers=1")
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_study_that_is_killed_and_stopped_goes_on_to_the_same_figures(
    minute_study, study_flags, run_command, tmp_path
):
    flags = [*study_flags, f"--study_dir={tmp_path / 'study'}"]
    random.seed(3)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen([sys.executable, "-m", "trainers.table1", *flags], stderr=subprocess.PIPE, text=True)
        time.sleep(random.uniform(15, 30))
        assert process.poll() is None
        process.send_signal(number)
        error = process.communicate()[1]
        if number != signal.SIGKILL:
            assert process.returncode == 128 + number
            assert "start the same command again to go on" in error.splitlines()[-1]
        else:
            time.sleep(40)  # its children may go on to their ends
    assert run_command("trainers.table1", *flags).returncode == 0
    summaries = [
        [line for line in read_metrics(folder) if line["stage"] == "summary"]
        for folder in (minute_study, tmp_path / "study")
    ]
    assert json.dumps(summaries[0]) == json.dumps(summaries[1])
