"""`trainers.table1`: its outputs, resumption, and errors."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from trainers.runs.folder import read_metrics
from trainers.study import cases

CASES = ("baseline", "progressive_supervised", "spec_augment")


def done_files(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("done.json")}


def test_every_figure_of_the_table_goes_back_to_the_runs(tiny_study):
    lines = read_metrics(tiny_study)
    summary = {(line["case"], line["recogniser"]): line for line in lines if line["stage"] == "summary"}
    assert list(summary) == [(case, name) for case in CASES for name in cases.CASES[case].recognisers]
    for (case, recogniser), line in summary.items():
        name = f"{recogniser}_accuracy"
        values = []
        for fold in (0, 1):
            run = tiny_study / "crema_d_av" / f"fold_{fold}" / "seed_1" / case
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


def test_shared_stages_are_done_once(tiny_study):
    pretrained = (tiny_study / "pretrained" / "pretrain").resolve()
    for fold in (0, 1):
        folder = tiny_study / "crema_d_av" / f"fold_{fold}" / "seed_1"
        assert (folder / "progressive_supervised" / "pretrain").resolve() == pretrained
        for case in CASES[1:]:
            assert (folder / case / "recognise_bare").resolve() == folder / "baseline" / "recognise_bare"
    baselines = [path for path in done_files(tiny_study) if "recognise_bare" in path.parts]
    assert len(baselines) == 2


def test_a_study_that_is_done_is_only_reported_again(tiny_study, study_flags, run_command, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(tiny_study, folder, symlinks=True)
    before = done_files(folder)
    printed = (folder / "printed.txt").read_text().replace(str(tiny_study), str(folder))
    (folder / "report.html").unlink()
    result = run_command("trainers.table1", *study_flags, f"--study_dir={folder}")
    assert (result.returncode, result.stdout) == (0, printed)
    assert done_files(folder) == before
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_a_dry_run_lists_what_is_left_and_how_long_it_takes(tiny_study, study_flags, run_command, tmp_path):
    cases = "--cases=baseline,progressive_supervised,generators"  # the last one is a group
    result = run_command("trainers.table1", *study_flags, cases, f"--study_dir={tmp_path / 'new'}", "--dry_run")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "to do  pretrained: pretrain"
    assert "8 of 8 runs to do: about " in result.stdout
    for generator in ("modulated", "unet"):
        assert f"calibrate, {generator}: 2 x, 0 min, " in result.stdout
    assert "evaluate: 6 x, " in result.stdout
    assert not (tmp_path / "new").exists()
    again = run_command("trainers.table1", *study_flags, f"--study_dir={tiny_study}", "--dry_run").stdout
    assert "0 of 7 runs to do: about 0 min" in again


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--calibrate_steps=6", "(calibrate.steps: 6, 4: "),
        ("--cases=baseline,magic", "case magic;"),
        ("--schedule=moderate", "--schedule is set by "),
        ("--folds=x", "--folds=x: must be integers"),
        ("--seeds=1.5", "--seeds=1.5: must be integers"),
        ("--cases=baseline,oracle", "oracle needs"),
        ("--low_data=9", "fold_2+fold_3+fold_4 of crema_d_av/64"),
        ("--inception=/nowhere", "/nowhere"),
        ("--folds=7", "0, 1, 2, 3, 4"),
        ("--only=crema_d_av/fold_3", "its parts are crema_d_av/fold_0, crema_d_av/fold_1"),
        ("--datasets=voxceleb_av", "voxceleb_av/64 has no "),
    ],
)
def test_a_wrong_flag_gets_one_clear_message(tiny_study, study_flags, run_command, flag, message, tmp_path):
    folder = tiny_study if "steps" in flag else tmp_path / "study"
    result = run_command("trainers.table1", *study_flags, f"--study_dir={folder}", flag, "--workers=1")
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_study_keeps_no_checkpoints_of_finished_stages(tiny_study):
    assert list(tiny_study.rglob("calibrate/generator/saved_model.pb"))
    assert not list(tiny_study.rglob("checkpoints"))


@pytest.mark.slow
def test_an_unfinished_study_has_a_report(tiny_study, study_flags, run_command, tmp_path):
    folder = tmp_path / "half"
    shutil.copytree(tiny_study, folder, symlinks=True)
    flags = [*study_flags, f"--study_dir={folder}", "--report_only"]
    (folder / "crema_d_av" / "fold_1" / "seed_1" / "spec_augment" / "evaluate" / "done.json").unlink()
    result = run_command("trainers.table1", *flags)
    assert result.returncode == 0, result.stderr
    assert "CREMA-D (synthetic), 2 folds x seeds" in result.stdout  # of the baseline
    page = (folder / "report.html").read_text()
    assert "1 of its runs are missing" in page
    for done in folder.rglob("done.json"):
        done.unlink()
    refused = run_command("trainers.table1", *flags)
    assert (refused.returncode, "done yet" in refused.stderr) == (2, True)
    nothing = run_command("trainers.table1", *study_flags, f"--study_dir={tmp_path / 'nothing'}", "--report_only")
    assert (nothing.returncode, "contains no study" in nothing.stderr) == (2, True)


@pytest.mark.slow
def test_gans_that_diverge_are_recorded_and_skipped(tiny_study, study_flags, run_command, tmp_path):
    flags = [*study_flags, "--folds=0", "--d_learning_rate=1e30"]
    pretraining = run_command("trainers.table1", *flags, f"--study_dir={tmp_path / 'progressive'}")
    assert pretraining.returncode == 2  # without it nothing can go on
    assert "pretrain: " in pretraining.stderr
    assert "NaN or infinite at step" in pretraining.stderr
    result = run_command("trainers.table1", *flags, f"--study_dir={tmp_path / 'moderate'}", "--cases=baseline,no_face")
    assert result.returncode == 0, result.stderr
    (line,) = [row for row in read_metrics(tmp_path / "moderate") if row["stage"] == "no_result"]
    assert (line["case"], line["fold"]) == ("no_face", 0)
    assert "calibrate: " in line["why"]
    page = (tmp_path / "moderate" / "report.html").read_text()
    assert "Runs without a result" in page
    assert line["run"] in page


@pytest.mark.slow
def test_a_study_can_be_extended_and_its_parts_run_separately(tiny_study, study_flags, run_command, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(tiny_study, folder, symlinks=True)
    before = done_files(folder)
    more = [*study_flags, f"--study_dir={folder}", "--seeds=1,2", "--flip_faces=false", "--shares=0.25", "--low_data=2"]
    alone = run_command("trainers.table1", *more, "--only=crema_d_av/fold_0")  # the other flags have --workers=2
    assert (alone.returncode, alone.stdout) == (0, "")
    added = {path.parts[1] for path in done_files(folder).keys() - before.keys()}
    assert added == {"fold_0"}
    result = run_command("trainers.table1", *more)
    assert result.returncode == 0, result.stderr
    after = done_files(folder)
    assert before.items() <= after.items()
    assert "CREMA-D (synthetic), 4 folds x seeds, 2 test speakers" in result.stdout
    page = (folder / "report.html").read_text()
    assert "Accuracy over the number of training speakers" in page
    assert "over the share of generated examples" in page


@pytest.mark.slow
def test_all_cases_of_generators_uses_and_unlabelled_run(study_flags, run_command, tmp_path):
    folder = tmp_path / "study"
    groups = ("generators", "uses", "unlabelled")
    given = f"--cases=baseline,progressive_supervised,{','.join(groups)}"
    flags = [*study_flags, "--folds=0", "--seeds=1", given, "--workers=1", f"--study_dir={folder}"]
    result = run_command("trainers.table1", *flags)
    assert result.returncode == 0, result.stderr
    measured = {(line["case"], line["recogniser"]) for line in read_metrics(folder)}
    wanted = {(case.name, name) for case in cases.CASES.values() if case.group in groups for name in case.recognisers}
    assert wanted <= measured


@pytest.mark.slow
def test_a_long_study_continues_in_a_new_process(study_flags, tmp_path):
    launcher = f"""
import pathlib, runpy
from trainers.study import running
running.RUNS_A_PROCESS = 2
with pathlib.Path({str(tmp_path / "starts")!r}).open("a") as starts:
    starts.write("start ")
runpy.run_module("trainers.table1", run_name="__main__", alter_sys=True)
"""
    flags = [*study_flags, "--workers=1", "--folds=0", f"--study_dir={tmp_path / 'study'}"]
    result = subprocess.run([sys.executable, "-c", launcher, *flags], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "starts").read_text() == 2 * "start "  # four runs, pretraining included
    assert len(read_metrics(tmp_path / "study")) >= 4
    assert (tmp_path / "study" / "report.html").is_file()


@pytest.mark.slow
def test_a_study_on_left_out_speakers_has_its_ceiling(study_flags, run_command, tmp_path):
    folder = tmp_path / "study"
    flags = [
        *study_flags,
        "--folds=0",
        "--seeds=1,2",
        "--cases=baseline,oracle,progressive_supervised",
        "--train_speakers=1",
    ]
    result = run_command("trainers.table1", *flags, "--pretrain_dataset=left_out", f"--study_dir={folder}")
    assert result.returncode == 0, result.stderr
    rows = [line.split("  ")[0] for line in result.stdout.splitlines()[2:8]]
    assert rows == [
        "bare",
        "strong",
        "oracle",
        "oracle + strong",
        "progressive supervised",
        "progressive supervised + strong",
    ]
    pretrained = [path.parent.parent.relative_to(folder).as_posix() for path in folder.rglob("pretrain/done.json")]
    assert {path for path in pretrained if path.endswith("/pretrained")} == {
        f"crema_d_av/fold_0/seed_{seed}/pretrained" for seed in (1, 2)
    }


@pytest.mark.slow
def test_two_processes_on_one_part_do_nothing_twice(study_flags, tiny_study, tmp_path):
    flags = [*study_flags, f"--study_dir={tmp_path / 'study'}", "--only=crema_d_av/fold_1"]
    shutil.copytree(tiny_study / "pretrained", tmp_path / "study" / "pretrained", symlinks=True)
    shutil.copy(tiny_study / "study.json", tmp_path / "study")
    command = [sys.executable, "-m", "trainers.table1", *flags]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    texts = ["".join(process.communicate()) for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert sum(text.count("waiting for another process that runs crema_d_av/fold_1") for text in texts) >= 1
    started = [line for text in texts for line in text.splitlines() if line.endswith(": started")]
    assert len(started) == len([path for path in done_files(tmp_path / "study") if "pretrain" not in path.parts])


@pytest.mark.slow
def test_a_study_that_is_killed_and_stopped_resumes_to_the_same_results(tiny_study, study_flags, run_command, tmp_path):
    flags = [*study_flags, f"--study_dir={tmp_path / 'study'}"]
    random.seed(3)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        before = len(done_files(tmp_path / "study"))
        process = subprocess.Popen([sys.executable, "-m", "trainers.table1", *flags], stderr=subprocess.PIPE, text=True)
        while len(done_files(tmp_path / "study")) < before + 2:
            time.sleep(0.2)
        time.sleep(random.uniform(0, 1))
        assert process.poll() is None
        process.send_signal(number)
        error = process.communicate()[1]
        if number != signal.SIGKILL:
            assert process.returncode == 128 + number
            assert error.splitlines()[-1].startswith("stopped by ")
        # Its children may still be running when the next one starts.
    assert run_command("trainers.table1", *flags).returncode == 0
    summaries = [
        [line for line in read_metrics(folder) if line["stage"] == "summary"]
        for folder in (tiny_study, tmp_path / "study")
    ]
    assert json.dumps(summaries[0]) == json.dumps(summaries[1])
