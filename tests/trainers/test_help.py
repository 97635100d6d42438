"""Help is fast: no command loads TensorFlow before its flags are parsed."""

import re
import subprocess
import sys

import pytest
from commands import COMMANDS


@pytest.mark.parametrize("module", COMMANDS)
def test_help_needs_no_tensorflow(module):
    script = f"import importlib, sys; importlib.import_module('{module}'); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.parametrize("module", COMMANDS)
def test_help_describes_the_command_with_an_example_and_its_flags(run_command, module):
    result = run_command(module, "--help")
    assert result.returncode == 0
    assert f"python -m {module} --" in result.stdout
    assert re.search(r"(?m)^Flags:\n  --\w+.*\n      \S", result.stdout)


def test_the_flags_of_a_run_are_shown_in_groups_with_their_values_and_defaults(run_command):
    text = run_command("trainers.progressive", "--help").stdout
    headings = re.findall(r"(?m)^(\w.*):\n  --", text)
    assert [heading.split(":")[0].split(",")[0] for heading in headings] == [
        "Flags", "The data", "The method", "The networks", "The losses", "The training of G", "The recognisers",
        "The strong recogniser", "Old names of flags",
    ]  # fmt: skip
    assert "  --data_dir\n      Folder of the built datasets. (required)\n" in text
    assert "  --select_weights=<last|best>\n      Weights that a GAN stage hands on" in text
    assert (
        "  --lambda_l1\n      Weight of the L1 distance in G's loss. Default: 100.0 (unet), 0.0\n      (modulated).\n"
        in text
    )
    assert "  --[no]wav" not in text  # of another command


def test_flags_that_are_missing_are_named_at_once(run_command):
    result = run_command("trainers.table1")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "--data_dir, --study_dir" in line


def test_a_flag_that_may_be_given_once_is_not_lost(run_command):
    flags = ["--model=m", "--face=f", "--output_dir=o", "--emotion=Happy", "--emotion=sad"]
    result = run_command("trainers.generate", *flags)
    assert result.returncode == 2
    assert "--emotion=sad" in result.stderr


def test_help_is_read_by_one_who_leaves_early():
    done = subprocess.run(
        f"{sys.executable} -m trainers.progressive --help | head -1", shell=True, capture_output=True, text=True
    )
    assert (done.stdout[:20], done.stderr) == ("Progressive training", "")
