"""Writes the report of a study: report.html, table1.md and table1.tex. Public names: write, verdict.

All values come from the study's metrics.jsonl (see `trainers.study.results`). Samples, feature maps and learning curves are
those of the first run of a case.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emogan.config import to_json
from emogan.metrics.comparison import holm
from trainers.reports import pages, plots, run_report
from trainers.runs.folder import read_metrics
from trainers.study import ceiling, charts, tables
from trainers.study.cases import CASES, GROUPS, SWEPT_CASE, WHOLE_CASE
from trainers.study.plan import PlannedRun, Study, plan
from trainers.study.results import CaseResult

SIGNIFICANT = 0.05
_QUALITY = {
    "spread": "spread of draws, relative to real clips of one emotion",
    "spread_within_speaker": "spread of draws, relative to real clips of one emotion and speaker",
    "precision": "precision, %",
    "precision_real_vs_real": "precision, real against real, %",
    "recall": "recall, %",
    "recall_real_vs_real": "recall, real against real, %",
    "density": "density",
    "density_real_vs_real": "density, real against real",
    "coverage": "coverage, %",
    "coverage_real_vs_real": "coverage, real against real, %",
    "requested_accuracy": "requested emotion recognised, %",
    "requested_accuracy_shuffled": "requested emotion recognised, requests shuffled, %",
    "certainty": "certainty of the strong recogniser, generated, %",
    "certainty_real": "certainty of the strong recogniser, real, %",
    "generated_accuracy": "accuracy, trained on generated alone, %",
    "generated_accuracy_of_strong": "accuracy, trained on generated alone, relative to strong, %",
    "level_explained": "level: explained by the face, generated, %",
    "level_explained_real": "level: explained by the speaker, real, %",
    "profile_explained": "row profile: explained by the face, generated, %",
    "profile_explained_real": "row profile: explained by the speaker, real, %",
    "fid": "FID",
    "fid_real_vs_real": "FID, real against real",
    "kid": "KID",
    "kid_real_vs_real": "KID, real against real",
    "is": "IS",
    "is_real": "IS, real",
    "inception_fid": "Inception FID",
    "inception_fid_real_vs_real": "Inception FID, real against real",
    "inception_kid": "Inception KID",
    "inception_kid_real_vs_real": "Inception KID, real against real",
    "inception_precision": "Inception precision, %",
    "inception_precision_real_vs_real": "Inception precision, real against real, %",
    "inception_recall": "Inception recall, %",
    "inception_recall_real_vs_real": "Inception recall, real against real, %",
    "inception_density": "Inception density",
    "inception_density_real_vs_real": "Inception density, real against real",
    "inception_coverage": "Inception coverage, %",
    "inception_coverage_real_vs_real": "Inception coverage, real against real, %",
    "inception_is": "Inception IS",
    "inception_is_real": "Inception IS, real",
    "ssim": "SSIM to the paired real target",
    "ssim_shuffled": "SSIM to targets of other clips",
    "ssim_class_mean": "SSIM of the emotion's mean",
    "l1_between_noises": "L1 between two noises",
    "l1_between_emotions": "L1 between two emotions",
    "l1_between_faces": "L1 between two faces",
    "nearest_distance": "distance to the nearest training example",
    "nearest_distance_real": "distance to the nearest training example, real",
    "nearest_distance_minimum": "minimum distance to a training example",
    "near_copy_share": "nearer than 95% of real examples, %",
}
"""Metrics of generation quality and their labels, in the order of the table; a label with % shows percent."""


def write(study: Study, runs: Sequence[PlannedRun], found: Sequence[CaseResult], folder: Path) -> Path:
    """Writes the report and the tables to the study's folder, and returns the path of the report."""
    (folder / "table1.md").write_text(tables.markdown(found), encoding="utf-8")
    (folder / "table1.tex").write_text(tables.latex(found), encoding="utf-8")
    lines = read_metrics(folder)
    page = pages.render(
        "study.html.j2",
        name="/".join(folder.resolve().parts[-2:]),
        synthetic=any(line.get("synthetic") for line in lines if line["stage"] == "data"),
        study=study,
        columns=tables.COLUMNS[1:],
        ceiling_columns=ceiling.HEAD,
        about_ceilings=ceiling.ABOUT,
        paper_columns=tables.PAPER_COLUMNS,
        not_comparable=tables.NOT_COMPARABLE,
        whole=CASES[WHOLE_CASE].title,
        pretrained=any(run.config.pretrains for run in runs),
        read_faces=any(run.config.reads_faces for run in runs),
        corpora=[_corpus(study, runs, found, lines, dataset, folder) for dataset in tables.datasets_of(found)],
        left=len(plan(study)) - len(runs),
        cases=[CASES[name] for name in CASES if name in study.cases],
        groups=GROUPS,
        no_result={line["run"]: line["why"] for line in lines if line["stage"] == "no_result"},
        curves=_curves(runs, folder),
        settings=to_json(study),
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _corpus(
    study: Study,
    runs: Sequence[PlannedRun],
    found: Sequence[CaseResult],
    lines: Sequence[dict[str, Any]],
    dataset: str,
    folder: Path,
) -> dict[str, Any]:
    """The values of the page's sections on one labelled dataset."""
    results = tables.main_results(found, dataset)
    by_row = {(result.place.case, result.place.recogniser): result for result in results}
    title = tables.corpus_title(dataset)
    of_gans = [result for result in results if "fid" in result.mean]
    example = by_row.get((SWEPT_CASE, "gan")) or (of_gans[0] if of_gans else None)
    rows = tables.rows(results)
    return {
        "title": title,
        "verdict": verdict(results),
        "data": _data(lines, dataset),
        "runs": results[0].runs,
        "speakers": len(results[0].speakers),
        "rows": {group: [row for row in rows if row.group == group] for group in GROUPS},
        "differences": pages.image(
            functools.partial(charts.differences, {"": results}), f"{title}: difference of each row"
        ),
        "confusions": [
            {
                "title": result.title,
                "image": pages.image(
                    functools.partial(plots.confusion, result.confusion, result.classes),
                    f"Confusion matrix of {result.title} on {title}",
                ),
            }
            for result in (by_row["baseline", "bare"], by_row["baseline", "strong"], example)
            if result
        ],
        "by_speaker": pages.image(
            functools.partial(charts.speakers, by_row["baseline", "bare"], example), f"{title}: accuracy of each speaker"
        ) if example else None,
        "by_sex": [
            (
                result.title,
                {sex: f"{100 * share:.1f}% ({count})" for sex, (share, count) in result.by_sex.items()},
            )
            for result in results
            if result.by_sex
        ],
        "ceilings": [ceiling.cells(one) for one in ceiling.ceilings(results)],
        "lacking": _lacking(results),
        "quality": _quality(results),
        "shares": _shares(study, found, dataset),
        "low_data": _low_data(study, found, lines, dataset),
        **_example(runs, dataset, example, folder),
    }  # fmt: skip


def verdict(results: Sequence[CaseResult]) -> str:
    """Result of a dataset's primary comparisons, in one or two sentences."""
    compared = [result for result in results if result.comparison and result.is_primary]
    tested = [result for result in compared if result.adjusted_p is not None]
    if not compared:
        return "No primary comparison was run."
    if not tested:
        why = dict.fromkeys(one.comparison.no_interval for one in compared if one.comparison)
        return f"No interval can be computed ({', '.join(why)}), so no conclusion about new speakers is possible."
    different = [result for result in tested if result.adjusted_p is not None and result.adjusted_p < SIGNIFICANT]
    words = {True: "better", False: "worse"}
    parts = [
        f"{r.title} is {words[r.comparison.difference > 0]} than {CASES[r.place.case].against(r.place.recogniser)} by "
        f"{100 * abs(r.comparison.difference):.1f} points (95%: {100 * (r.comparison.low or 0):+.1f} to "
        f"{100 * (r.comparison.high or 0):+.1f})"
        for r in different
        if r.comparison
    ]
    rest = len(tested) - len(different)
    untested = len(compared) - len(tested)
    end = f" For {untested} more, no interval can be computed, since all speakers agree." if untested else ""
    if not parts:
        return f"None of the {len(tested)} primary comparisons shows a significant difference (corrected).{end}"
    text = "; ".join(parts) + f", corrected for {len(tested)} primary comparisons."
    return text[:1].upper() + text[1:] + (f" No significant difference in the other {rest}." if rest else "") + end


def _data(lines: Sequence[dict[str, Any]], dataset: str) -> list[str]:
    """Amounts of training, validation and test data of each fold, in words."""
    sides = {
        (line["fold"], line["side"]): f"{line['clips']:,} clips of {line['speakers']} speakers"
        for line in _data_lines(lines, dataset)
    }
    return [
        f"test fold {fold}: training on {sides[fold, 'train']}, validation on {sides[fold, 'validation']}, test on "
        f"{sides[fold, 'test']}"
        for fold in sorted({fold for fold, _ in sides})
    ]


def _data_lines(lines: Sequence[dict[str, Any]], dataset: str) -> list[dict[str, Any]]:
    """The lines about the data of runs with all training speakers."""
    return [
        line for line in lines if line["stage"] == "data" and line["dataset"] == dataset and not line["train_speakers"]
    ]


def _lacking(results: Sequence[CaseResult]) -> list[tuple[str, str, str]]:
    """Difference of `WHOLE_CASE` to each ablation: title, difference, p (Holm)."""
    ablations = [result for result in results if result.whole_minus_this]
    adjusted = holm([result.whole_minus_this.p if result.whole_minus_this else None for result in ablations])
    return [
        (result.title, tables.interval(result.whole_minus_this), "" if p is None else tables.p_value(p))
        for result, p in zip(ablations, adjusted, strict=True)
    ]


def _quality(results: Sequence[CaseResult]) -> dict[str, Any] | None:
    gans = [result for result in results if "fid" in result.mean and result.place.recogniser == "gan"]
    if not gans:
        return None
    return {
        "cases": [result.title for result in gans],
        "rows": [
            (label, _count(gans, name), [_value(result, name, percent="%" in label) for result in gans])
            for name, label in _QUALITY.items()
            if any(name in result.mean for result in gans)
        ],
    }


def _count(results: Sequence[CaseResult], name: str) -> str:
    """n of a metric, or its range over all runs."""
    counts = [count for result in results for count in result.counts.get(name, ())]
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _value(result: CaseResult, name: str, percent: bool) -> str:
    if name not in result.mean:
        return ""
    return f"{100 * result.mean[name]:.1f}" if percent else f"{result.mean[name]:.3g}"


def _shares(study: Study, found: Sequence[CaseResult], dataset: str) -> dict[str, str] | None:
    swept = [one for one in found if one.place.dataset == dataset and one.place.share]
    if not swept:
        return None
    for result in tables.main_results(found, dataset):
        if result.place.case == SWEPT_CASE:
            place = dataclasses.replace(result.place, share=study.base.generated_share)
            swept.append(dataclasses.replace(result, place=place))
    alt = f"{tables.corpus_title(dataset)}: differences over the share of generated examples"
    return pages.image(functools.partial(charts.shares, swept), alt)


def _low_data(
    study: Study, found: Sequence[CaseResult], lines: Sequence[dict[str, Any]], dataset: str
) -> dict[str, str] | None:
    if not study.low_data:
        return None
    whole = max(line["speakers"] for line in _data_lines(lines, dataset) if line["side"] == "train")
    reduced = [one for one in found if one.place.dataset == dataset and one.place.train_speakers]
    curves = {
        title: [
            (one.place.train_speakers or whole, one)
            for one in [*reduced, *tables.main_results(found, dataset)]
            if one.title == title
        ]
        for title in dict.fromkeys(one.title for one in reduced)
    }
    alt = f"{tables.corpus_title(dataset)}: accuracy over the number of training speakers"
    return pages.image(functools.partial(charts.low_data, curves), alt)


def _example(runs: Sequence[PlannedRun], dataset: str, example: CaseResult | None, folder: Path) -> dict[str, Any]:
    """Samples, audio and features of the first run of a case."""
    nothing: dict[str, Any] = {"example": "", "samples": None, "clips": {}, "features": None}
    if example is None:
        return nothing
    run = next(run for run in runs if run.place == dataclasses.replace(example.place, recogniser=""))
    path = folder / run.path
    samples = run_report.read_samples(path)
    with np.load(path / "evaluate" / "features.npz", allow_pickle=False) as arrays:
        features = dict(arrays)
    names = example.classes
    found = charts.flattened(features["real"], features["generated"])
    draw = functools.partial(charts.feature_map, found, features["labels"], names)
    return {
        "example": f"{example.title}, fold {example.place.fold}, seed {example.place.seed} ({run.path})",
        "samples": run_report.sample_section(samples),
        "clips": run_report.audio_section(path, samples, at_most=1),
        "features": pages.image(draw, f"t-SNE of the features of real and generated spectrograms, {dataset}"),
    }


def _curves(runs: Sequence[PlannedRun], folder: Path) -> list[dict[str, Any]]:
    """Learning curves of pretraining, and of the first run of each GAN case."""
    section, seen = [], set()
    for run in runs:
        case = run.place.case if run.place else "pretraining"
        stage = "calibrate" if run.place else "pretrain"
        if case in seen or stage not in run.stages:
            continue
        seen.add(case)
        own = [line for line in read_metrics(folder / run.path) if line["stage"] == stage and "step" in line]
        if not own:
            continue  # diverged within the first interval
        title = f"{CASES[case].title if run.place else case} ({run.path})"
        section.append(
            {"title": title, "image": pages.image(functools.partial(plots.loss_curves, own), f"{title}: losses")}
        )
    return section
