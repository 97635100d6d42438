"""The commands in the documents are there, with the flags they are given."""

import inspect
import re
import shlex
from pathlib import Path

import pytest

import datasets
from datasets import files, input_pipeline, media
from datasets.builder import MAX_REJECTS
from datasets.streams import SHUFFLE_EXAMPLES
from emogan import faces, serving
from emogan.config import FaceConfig
from emogan.emotions import EMOTIONS
from trainers import stages
from trainers.run_folder import read_metrics
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


def test_the_demos_figures_are_those_of_its_metrics():
    found = {line["name"]: line for line in read_metrics(ROOT / "results" / "demo")}
    figure = {
        name: f"{line['value']:.1%}" if "accuracy" in name else f"{line['value']:.3f}" for name, line in found.items()
    }
    points = [f"{100 * found['accuracy_difference'][key]:+.1f}" for key in ("value", "low", "high")]
    paired = [f"{found['ssim_paired_minus_shuffled'][key]:+.3f}" for key in ("value", "low", "high")]
    chance = f"{1 / len(EMOTIONS):.1%}"
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## What the demo shows") : text.index("## What a run measures")]
    rows = [re.findall(r"[+-]?\d[\d.]*%?", line) for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        [figure["baseline_accuracy"], chance],
        [figure["augmented_accuracy"], points[0], "95%", *points[1:]],
        [figure["requested_accuracy"], figure["requested_accuracy_shuffled"]],
        [figure["ssim"], figure["ssim_shuffled"], paired[0], "95%", *paired[1:], figure["ssim_class_mean"]],
        [figure["fid"], figure["fid_real_vs_real"]],
        [figure["l1_between_noises"], figure["l1_between_emotions"]],
    ]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("README.md", f"more than {MAX_REJECTS:.0%}\n(`--max_rejects`)"),
        ("SERVING.md", f"more than {serving.MAX_BYTES >> 20} MiB or {serving.MAX_PIXELS >> 20} million pixels"),
        (
            "BUILD.md",
            f"fits into {input_pipeline.CACHE_BYTES >> 30} GiB is decoded once; of more, {SHUFFLE_EXAMPLES:,} examples",
        ),
        ("BUILD.md", f"on {stages.VALIDATION_EXAMPLES:,} validation examples at most"),
        ("BUILD.md", f"shrunk to {FaceConfig(size=64).detection_side} pixels, for faces of {faces.USUAL_FACE} pixels"),
        (
            "BUILD.md",
            f"read up to {files.MAX_FILE_BYTES >> 20} MiB, frames to {media.MAX_FRAME_PIXELS // 10**6} million pixels",
        ),
        ("BUILD.md", f"sound to {media.MAX_SOUND_SECONDS / 60:.0f} minutes"),
    ],
)
def test_what_the_documents_state_is_so_in_the_code(page, words):
    assert " ".join(words.split()) in " ".join((ROOT / page).read_text().split())


def test_the_signatures_of_a_served_model_are_as_its_page_has_them():
    text = (ROOT / "SERVING.md").read_text()
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \| (.+) \|$", text)
    assert [name for name, _, _ in rows] == list(serving.OUTPUTS)
    for name, inputs, outputs in rows:
        taken = list(inspect.signature(getattr(serving.ServedGenerator, name)).parameters)[1:]
        assert inputs == "as `serving_default`" or re.findall(r"`(\w+)`", inputs) == taken
        assert outputs == "the same" or re.findall(r"`(\w+)`", outputs) == list(serving.OUTPUTS[name])
