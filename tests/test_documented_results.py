"""The results in the documents follow from the metrics in docs/results."""

import re

import pytest
from documents import PAGES, ROOT

from emogan.emotions import EMOTIONS
from emogan.metrics.comparison import Comparison
from trainers.reports.run_table import read_results
from trainers.runs.folder import read_metrics
from trainers.study import side_by_side, tables
from trainers.study.cases import CASES
from trainers.study.results import measured, read, summarise

RESULTS = ROOT / "docs" / "results"


@pytest.mark.parametrize(
    "study", sorted(path.parent for path in RESULTS.glob("*/*/metrics.jsonl")), ids=lambda path: path.name
)
def test_summaries_of_studies_follow_from_the_metrics_of_their_runs(study):
    assert tables.markdown(summarise(measured(read_metrics(study)))) == tables.markdown(read(study))


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in RESULTS.glob("*/comparison.md")), ids=lambda path: path.name
)
def test_comparisons_of_studies_follow_from_their_metrics_and_are_in_the_documents(folder, tmp_path):
    text = side_by_side.write(sorted(path.parent for path in folder.glob("*/metrics.jsonl")), tmp_path)
    assert text == (folder / "comparison.md").read_text()
    assert text.strip() in PAGES["docs/results.md"]


def evidence_table() -> str:
    """The README's table of results, from the study's metrics."""
    rows = {
        "labelled clips alone": ("baseline", "bare", "strong"),
        "+ real labelled clips of the other speakers (oracle)": ("oracle", "oracle", "oracle_strong"),
        "+ generated, modulated generator": ("progressive_supervised", "gan", "gan_strong"),
        "+ the same, in the first half of the training only": ("use_first", "gan", "gan_strong"),
        "+ generated, the paper's U-Net": ("unet", "gan", "gan_strong"),
        "starting from the pretrained D, nothing generated": ("from_d", "", "strong"),
        "consistency on the unlabelled clips (FixMatch), nothing generated": ("consistent", "", "strong"),
    }
    found = {(one.place.case, one.place.recogniser): one for one in read(RESULTS / "evidence" / "synthetic")}

    def cell(case: str, recogniser: str) -> str:
        one = found.get((case, recogniser))
        if one is None:
            return ""
        return tables.interval(one.comparison) if case != "baseline" else f"{100 * one.mean['accuracy']:.1f}%"

    lines = [f"| {title} | {cell(case, bare)} | {cell(case, strong)} |" for title, (case, bare, strong) in rows.items()]
    return "\n".join(["| training set | bare | strong |", "|---|---|---|", *lines])


def test_the_readmes_results_are_those_of_the_study():
    assert evidence_table() in PAGES["README.md"]


def test_the_values_of_table_1_are_those_of_its_metrics():
    """For the first corpus, whose metrics are in docs/results."""
    found = {line["case"]: line for line in read_metrics(RESULTS / "table1") if not line["share"]}
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
    found = {result.name: result for result in read_results(read_metrics(RESULTS / "demo"))}

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
