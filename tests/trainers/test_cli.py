"""The command `emogan` and its subcommands."""

import subprocess
import sys
from pathlib import Path

import pytest

import trainers
from trainers.cli import COMMANDS


def emogan(*arguments):
    return subprocess.run([sys.executable, "-m", "trainers.cli", *arguments], capture_output=True, text=True)


def test_every_command_is_a_subcommand_and_is_listed():
    files = [path.stem for path in Path(trainers.__file__).parent.glob("*.py") if "command.run(" in path.read_text()]
    assert {f"trainers.{name}" for name in files} <= {*COMMANDS.values()}
    listed = emogan().stdout
    for name in COMMANDS:
        assert f"\n{name} " in listed


def test_a_subcommand_has_the_flags_of_its_module_and_finds_shipped_flagfiles():
    assert "--study_dir" in emogan("table1", "--help").stdout
    planned = emogan("progressive", "--flagfile=paper.flags", "--data_dir=nowhere", "--dry_run")
    assert planned.returncode == 0, planned.stderr
    assert "trainers.prepare" in planned.stdout


@pytest.mark.parametrize("name", ["", "--help"])
def test_help_is_no_error(name):
    assert emogan(*filter(None, [name])).returncode == 0


def test_a_subcommand_that_there_is_not_is_an_error():
    result = emogan("dance")
    assert result.returncode == 1
    assert "dance" in result.stderr
