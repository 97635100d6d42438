"""The commands, flags, files and make targets named in the documents exist; their results are those in docs/results."""

import dataclasses
import re
import shlex

import pytest
from documents import CODE, COMMANDS, MAKEFILE, PAGES, ROOT, SETUP, TEXT

import datasets
from emogan.config import ADVERSARIAL_FORMS, PRESETS, LossConfig, TrainConfig
from emogan.emotions import EMOTIONS
from emogan.metrics.comparison import Comparison
from trainers.reports.run_table import read_results
from trainers.runs.folder import read_metrics
from trainers.study import tables
from trainers.study.cases import CASES

TARGETS = sorted(set(re.findall(r"(?m)(?:^|`)make ([a-z0-9-]+)", TEXT)))
PATHS = set(re.findall(r"(?<![\w/.])(?:datasets|docs|emogan|notebooks|results|tests|trainers)/[\w./]*\w", TEXT))


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


def test_the_table_of_studies_has_the_values_of_their_metrics_and_is_in_the_documents():
    folder = ROOT / "docs" / "results" / "planted"
    text = (folder / "comparison.md").read_text()
    assert text.strip() in PAGES["docs/results.md"]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if " (synthetic) | 9 | " in line]
    measured = []
    for study in dict.fromkeys(row[0] for row in rows):
        for line in read_metrics(folder / study):
            accuracy = f"{100 * line['mean']['accuracy']:.1f} ± {100 * line['deviation']['accuracy']:.1f}"
            compared = line["comparison"] and Comparison(**line["comparison"])
            measured.append([study, CASES[line["case"]].title, accuracy, tables.interval(compared)])
    assert [[row[0], row[3], row[4], *row[7:8]] for row in rows] == [one if one[3] else one[:3] for one in measured]


def test_the_values_of_table_1_are_those_of_its_metrics():
    """For the first corpus, whose metrics are in docs/results."""
    found = {line["case"]: line for line in read_metrics(ROOT / "docs" / "results" / "table1") if not line["share"]}
    later = {name for name, case in CASES.items() if case.group in ("ceiling", "generators", "uses", "unlabelled")}
    assert set(found) == {*CASES, "gan_spec_augment"} - later  # the cases of that version

    def cells(case: str) -> list[str]:
        compared = found[case]["comparison"]
        accuracy = f"{100 * found[case]['mean']['accuracy']:.1f}"
        return [accuracy, tables.interval(compared and Comparison(**compared))]

    table = re.search(r"\| case \| CREMA-D-like .+\n(?:.+\n)+", PAGES["docs/results.md"])[0]
    by_title = {case.title: name for name, case in CASES.items()}
    without_q = [cells(name) for name, case in CASES.items() if case.group == "without_q"]
    for row in table.splitlines()[2:]:
        title, *shown = [cell.strip() for cell in row.strip("|").split("|")][:3]
        if title in by_title:
            assert shown == cells(by_title[title])
        else:
            columns = [
                sorted((cell.split(" ")[0] for cell in column), key=float) for column in zip(*without_q, strict=True)
            ]
            assert shown == [f"{column[0]} to {column[-1]}" for column in columns]


def demo_table() -> str:
    """The table of the section on the demo, from its metrics in docs/results."""
    found = {result.name: result for result in read_results(read_metrics(ROOT / "docs" / "results" / "demo"))}

    def shown(*names: str) -> str:
        return ", ".join(found[name].shown for name in names)

    def difference(name: str) -> str:
        return f"difference {found[name].shown} (95%: {found[name].interval})"

    manifold = ("precision", "recall", "density", "coverage")
    rows = [
        ("measured on unseen speakers", "value", "beside it"),
        ("---", "---", "---"),
        ("accuracy, bare", shown("bare_accuracy"), f"chance {1 / len(EMOTIONS):.1%}"),
        ("with generated", shown("gan_accuracy"), difference("accuracy_gan_minus_bare")),
        ("accuracy, strong", shown("strong_accuracy"), difference("accuracy_strong_minus_bare")),
        ("with generated", shown("gan_strong_accuracy"), difference("accuracy_gan_strong_minus_strong")),
        (
            "strong, on generated alone",
            shown("generated_accuracy"),
            f"{shown('generated_accuracy_of_strong')} of strong on real",
        ),
        (
            "requested emotion recognised in generated spectrograms",
            shown("requested_accuracy"),
            f"requests shuffled {shown('requested_accuracy_shuffled')}",
        ),
        ("certainty of that recognition", shown("certainty"), f"on real ones {shown('certainty_real')}"),
        (
            "spread of draws, as a share of real clips",
            shown("spread"),
            f"as a share of those of one speaker {shown('spread_within_speaker')}",
        ),
        (
            "precision, recall, density, coverage",
            shown(*manifold),
            f"real against real {shown(*(f'{name}_real_vs_real' for name in manifold))}",
        ),
        *(
            (
                f"{what} of generated: explained by the face",
                shown(f"{name}_explained"),
                f"of real: by the speaker {shown(f'{name}_explained_real')}",
            )
            for what, name in (("level", "level"), ("row profile", "profile"))
        ),
        ("FID on the strong recogniser's features", shown("fid"), f"real against real {shown('fid_real_vs_real')}"),
        (
            "SSIM to the paired real spectrogram",
            shown("ssim"),
            f"other clips' {shown('ssim_shuffled')}; the emotion's mean {shown('ssim_class_mean')}",
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_demos_values_are_those_of_its_metrics():
    assert demo_table() in PAGES["docs/results.md"]


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
    written = set(re.findall(r'"([\w.-]+\.\w+)"', "".join(CODE.values())))
    assert {name for name in named if not [*ROOT.glob(name), *ROOT.glob(f"datasets/*/{name}")]} <= written
