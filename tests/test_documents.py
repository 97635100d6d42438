"""The commands, flags, files and make targets named in the documents exist."""

import dataclasses
import re
import shlex

import pytest
from documents import CODE, COMMANDS, MAKEFILE, PAGES, ROOT, SETUP, TEXT

import datasets
from emogan.config import ADVERSARIAL_FORMS, PRESETS, LossConfig, TrainConfig

TARGETS = sorted(set(re.findall(r"(?m)(?:^|`)make ([a-z0-9-]+)", TEXT)))
GPU_CHECK = ROOT / "tests" / "gpu_check.py"
PATHS = set(re.findall(r"(?<![\w/.])(?:datasets|docs|emogan|notebooks|tests|trainers)/[\w./]*\w", TEXT))


def test_the_documents_show_the_commands():
    assert {module for module, _ in COMMANDS} >= {
        "trainers.prepare", "trainers.progressive", "trainers.table1", "trainers.generate", "trainers.export",
        "datasets.synthetic", "emogan.client",
    }  # fmt: skip
    assert {"demo", "table1", "test", "test-all", "check", "lock"} <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_exists(target):
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


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


@pytest.fixture(scope="module")
def flags_of(run_command) -> dict[str, dict[str, tuple[list[str], str]]]:
    """Command -> flag -> its choices, if any, and its default."""
    found = {}
    for command in {module for module, _ in COMMANDS}:
        entries = re.findall(
            r"(?m)^  --(\[no\])?(\w+)(?:=<(.+)>)?\n((?: {6}.+\n)+)", f"{run_command(command, '--help').stdout}\n"
        )
        found[command] = {
            name: (
                ["true", "false"] if boolean else choices.split("|") if choices else [],
                (re.findall(r"\(default: (.+)\)$", " ".join(about.split())) or [""])[0],
            )
            for boolean, name, choices, about in entries
        }
    return found


def given(flag: str, known: dict[str, tuple[list[str], str]]) -> tuple[str, str]:
    """Name and value of a flag as written, such as `keep=best`, `xla` or `noxla`."""
    name, _, value = flag.partition("=")
    if name not in known and name.removeprefix("no") in known:
        return name.removeprefix("no"), "false"
    return name, value or "true"


def test_the_flags_within_sentences_exist_and_have_the_values(flags_of):
    unknown = set()
    for flag in re.findall(r"`--(\w\S*)`", TEXT):
        for known in flags_of.values():
            name, value = given(flag, known)
            if name in known and (not known[name][0] or value in known[name][0]):
                break
        else:
            unknown.add(flag)
    assert unknown == {"help", "check"}  # of every command, and of a benchmark


def test_the_table_of_flags_has_none_at_its_default(flags_of):
    known = flags_of["trainers.progressive"]
    table = re.search(r"\| flag \|(?:.+\n)+", PAGES["docs/training.md"])[0]
    flags = re.findall(r"`--(\S+)`", table)
    assert len(flags) > 15
    for name, value in (given(flag, known) for flag in flags):
        assert value != known[name][1], name


def test_further_losses_and_stabilisers_are_flags_and_off_by_default(flags_of):
    off = {**vars(LossConfig()), **vars(TrainConfig(steps=500)), **vars(PRESETS["paper"])}
    table = re.search(r"\| setting \| what it is for .+\n(?:.+\n)+", PAGES["docs/decisions.md"])[0]
    first_cells = "".join(line.split("|")[1] for line in table.splitlines())
    stated = re.findall(r"`(\w+)(?:=(\w+))?`", first_cells)
    losses = [value for name, value in stated if name == "adversarial"]
    assert {*losses, off["adversarial"], "minimax"} == set(ADVERSARIAL_FORMS)
    settings = {name for name, value in stated if not value}
    names = {field.name for field in dataclasses.fields(LossConfig)} - {"adversarial", "lambda_l1", "lambda_q"}
    assert names <= settings
    assert settings <= flags_of["trainers.progressive"].keys()
    # These two have no effect without `wasserstein` and `r1_gamma`.
    assert {name for name in settings if off[name]} == {"gradient_penalty", "r1_interval"}


def test_every_target_of_make_is_in_the_documents():
    assert set(re.search(r"(?m)^\.PHONY: (.+)$", MAKEFILE)[1].split()) <= set(TARGETS)


def test_extras_exist():
    named = {"".join(names) for names in re.findall(r"\.\[(\w+)\]|the extra `(\w+)`", TEXT)}
    assert {"gpu", "page", "benchmarks"} <= named
    assert named <= set(re.findall(r'(?m)^        "(\w+)": ', SETUP))


@pytest.mark.parametrize("path", sorted(PATHS))
def test_path_exists(path):
    assert (ROOT / path).exists()


def test_every_benchmark_is_in_the_table():
    table = re.search(r"\| command \|(?:.+\n)+", PAGES["CONTRIBUTING.md"])[0]
    benchmarks = {path.name for path in (ROOT / "tests" / "benchmarks").glob("bench_*.py")}
    assert set(re.findall(r"bench_\w+\.py", table)) == benchmarks


def test_the_files_named_in_the_documents_exist_or_are_written_by_the_code():
    named = set(re.findall(r"`(?:[\w.]+/)?([\w.-]+\.(?:csv|html|jsonl?|lock|md|tex|toml|txt))`", TEXT))
    assert {"audit.html", "provenance.json", "no_result.txt", "table1.tex"} <= named
    written = set(re.findall(r'"([\w.-]+\.\w+)"', "".join([*CODE.values(), GPU_CHECK.read_text()])))
    assert {name for name in named if not [*ROOT.glob(name), *ROOT.glob(f"datasets/*/{name}")]} <= written
