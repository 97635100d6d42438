"""The commands in the documents are there, with the flags they are given."""

import re
import shlex
from pathlib import Path

import pytest

import datasets
from trainers.study import side_by_side

ROOT = Path(__file__).parent.parent
TEXT = "".join(
    (ROOT / name).read_text() for name in ("README.md", "BUILD.md", "SERVING.md", "MODEL_CARD.md", "CONTRIBUTING.md")
)
COMMANDS = sorted(set(re.findall(r"python -m ([a-z0-9_.]+)([^`\n]*)", TEXT.replace("\\\n", ""))))
TARGETS = sorted(set(re.findall(r"(?m)(?:^|`)make ([a-z0-9-]+)", TEXT)))


def test_the_documents_show_the_commands():
    assert {module for module, _ in COMMANDS} >= {
        "trainers.prepare", "trainers.progressive", "trainers.table1", "trainers.generate", "trainers.export",
        "datasets.synthetic", "emogan.client",
    }  # fmt: skip
    assert {"demo", "table1", "test", "test-all", "check", "lock"} <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("module", "line"), COMMANDS)
def test_flags_exist(run_command, module, line):
    known = run_command(module, "--help").stdout
    for flag in (word for word in shlex.split(line, comments=True) if word.startswith("--")):
        name = flag.removeprefix("--").split("=")[0]
        assert name == "flagfile" or re.search(rf"--(\[no\])?{name}\b", known), flag


@pytest.mark.parametrize("line", [line for module, line in COMMANDS if "--dataset=" in line and "--config=" in line])
def test_configurations_exist(line):
    given = dict(word.removeprefix("--").split("=") for word in shlex.split(line))
    assert given["config"] in [config.name for config in datasets.BUILDERS[given["dataset"]].BUILDER_CONFIGS]


def test_the_tables_of_results_are_made_from_their_metrics_and_stand_in_the_documents(tmp_path):
    folder = ROOT / "results" / "planted"
    kept = (folder / "comparison.md").read_text()
    studies = dict.fromkeys(re.findall(r"(?m)^\| (\w[\w.]*) \| CREMA-D", kept))
    assert set(studies) == {path.parent.name for path in folder.glob("*/metrics.jsonl")}
    assert side_by_side.write([folder / name for name in studies], tmp_path) == kept
    assert kept.strip() in (ROOT / "BUILD.md").read_text()
