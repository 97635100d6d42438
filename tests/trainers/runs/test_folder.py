import dataclasses
import json
import os
import subprocess
import sys

import pytest

from emogan.config import LossConfig
from emogan.errors import UserError
from trainers.runs.config import FORMAT
from trainers.runs.folder import RunFolder, folder_atomically, run_name


class Killed(Exception):
    pass


def test_a_run_folder_of_other_settings_is_refused(tmp_path, small):
    RunFolder(tmp_path / "a", small.run_config())
    RunFolder(tmp_path / "a", small.run_config())
    with pytest.raises(UserError, match=r"loss\.lambda_l1: 5, 100\.0"):
        RunFolder(tmp_path / "a", small.run_config(loss=LossConfig(lambda_l1=5)))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=f"{tmp_path / 'b'} is not empty"):
        RunFolder(tmp_path / "b", small.run_config())
    with pytest.raises(UserError, match=f"{tmp_path / 'b' / 'thesis.txt'} is a file; .*--run_dir"):
        RunFolder(tmp_path / "b" / "thesis.txt", small.run_config())


def test_a_run_of_another_generator_condition_or_version_is_refused_with_the_difference(tmp_path, small):
    config = small.run_config()
    RunFolder(tmp_path, config)
    for other, expected in (
        (config.with_generator("modulated"), "generator"),
        (small.run_config(condition="face"), "condition"),
    ):
        with pytest.raises(UserError, match=rf"\({expected}: "):
            RunFolder(tmp_path, other)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace(f'"format": {FORMAT}', '"format": 1'))
    with pytest.raises(UserError, match=rf"format: {FORMAT}, 1"):
        RunFolder(tmp_path, config)


def test_stages_are_done_once(tmp_path, small):
    run, calls = RunFolder(tmp_path / "a", small.run_config()), []
    for _ in range(2):
        run.stage("pretrain", lambda folder: calls.append(folder))
    assert calls == [tmp_path / "a" / "pretrain"]
    assert "seconds_of_last_start" in json.loads((calls[0] / "done.json").read_text())


def test_an_incomplete_last_line_of_metrics_is_skipped(tmp_path, small):
    run = RunFolder(tmp_path / "a", small.run_config())
    run.record(stage="pretrain", step=2, g_loss=1.0)
    run.record(stage="pretrain", step=4, g_loss=0.5)
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "pretr')
    run.forget("pretrain", after_step=2)
    assert [row["step"] for row in run.records("pretrain")] == [2]


def test_a_folder_half_written_leaves_the_old_one(tmp_path):
    with folder_atomically(tmp_path / "m") as part:
        (part / "x").write_text("old")

    def die_half_way():
        with folder_atomically(tmp_path / "m") as part:
            (part / "x").write_text("new")
            raise Killed

    with pytest.raises(Killed):
        die_half_way()
    assert (tmp_path / "m" / "x").read_text() == "old"


def test_the_name_of_a_run_shows_its_settings_and_is_reproducible(small):
    config = small.run_config(condition="face", use_classifier=False, train_speakers=8)
    name = run_name(config)
    assert name.startswith("crema_d_av-16-progressive-semi-supervised-without_q-8_speakers-fold_0-seed_3-")
    assert run_name(dataclasses.replace(config)) == name
    assert run_name(dataclasses.replace(config, loss=LossConfig(lambda_l1=50)))[:-6] == name[:-6]
    assert run_name(dataclasses.replace(config, loss=LossConfig(lambda_l1=50))) != name


def test_names_of_any_script_are_written_whatever_the_locale(tmp_path):
    script = f"""
import pathlib
from trainers.runs import folder as run_folder
folder = pathlib.Path({str(tmp_path)!r})
run_folder.write_atomically(folder / "a.txt", "Jos\\u00e9 \\u9ad8\\u5174")
"""
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, **latin})
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "José 高兴"
