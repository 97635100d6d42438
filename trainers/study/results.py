"""From the runs' metrics.jsonl to the study's: what each case reaches, and whether it differs from the baseline.

Public names: Measured, CaseResult, collect, read.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emogan.errors import UserError
from emogan.metrics import comparison
from emogan.metrics.comparison import Comparison
from trainers.run_folder import read_metrics, write_atomically
from trainers.study.cases import CASES, WHOLE_CASE
from trainers.study.plan import Place, PlannedRun
from trainers.study.running import why_diverged

RECOGNITION = ("accuracy", "uar", "macro_f1")
"""The measures of a recogniser; accuracy is the paper's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run measured on its test fold.

    Attributes:
        place: where the run stands in the study.
        recognition: each of `RECOGNITION`, in [0, 1].
        speakers: right and all clips of each test speaker.
        sexes: male or female where the corpus tells, of each test speaker.
        classes: names of the emotions.
        confusion: counts, int [classes, classes], rows true and columns recognised.
        quality: further figures of the evaluation, by name; none where there is no GAN.
        synthetic: whether its corpus is a synthetic one.
    """

    place: Place
    recognition: dict[str, float]
    speakers: dict[str, tuple[int, int]]
    sexes: dict[str, str]
    classes: tuple[str, ...]
    confusion: np.ndarray
    quality: dict[str, float]
    synthetic: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseResult:
    """A case on one dataset, over folds and seeds.

    Attributes:
        place: of its first run.
        runs: their number.
        mean, deviation: of each of `RECOGNITION` and each figure of quality over folds and seeds; there is no deviation of
            one run.
        by_sex: accuracy over all clips of speakers of a sex, pooled over folds and seeds, and their number of speakers.
        comparison: with the baseline of the same folds, seeds and training speakers; None for a baseline.
        adjusted_p: its p-value, corrected by Holm's method for the number of cases of the table; None where there is none.
        whole_minus_this: for a case of the group `spoilt`, `WHOLE_CASE` minus it, which says what the missing part is worth.
        classes: names of the emotions.
        confusion: the sum over runs, int [classes, classes], rows true and columns recognised.
        run_differences: accuracy minus the baseline's of the same fold and seed, by `fold f, seed s`; none for a baseline.
        speakers: each test speaker's accuracy, averaged over seeds.
        synthetic: whether the corpus is a synthetic one.
    """

    place: Place
    runs: int
    mean: dict[str, float]
    deviation: dict[str, float]
    by_sex: dict[str, tuple[float, int]]
    comparison: Comparison | None
    adjusted_p: float | None
    whole_minus_this: Comparison | None
    classes: tuple[str, ...]
    confusion: np.ndarray
    run_differences: dict[str, float]
    speakers: dict[str, float]
    synthetic: bool = False


def collect(runs: Sequence[PlannedRun], folder: Path) -> list[CaseResult]:
    """Reads what the runs measured, sums it up, and writes both to metrics.jsonl in the study's folder.

    Of a run that diverged there is a line that says so, and nothing else.
    """
    measured, lines = [], []
    for run in runs:
        if run.place is None:
            continue
        if why := why_diverged(folder / run.path):
            lines.append({"run": run.path, **dataclasses.asdict(run.place), "stage": "diverged", "why": why})
            continue
        own = [line for line in read_metrics(folder / run.path) if line["stage"] in ("evaluate", "recognised", "data")]
        lines += [{"run": run.path, **dataclasses.asdict(run.place), **line} for line in own]
        measured.append(_measured(run.place, own))
    found = summarise(measured)
    lines += [{"stage": "summary", **_as_line(result)} for result in found]
    write_atomically(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return found


def _measured(place: Place, lines: Sequence[dict[str, Any]]) -> Measured:
    name = "baseline" if place.case == "baseline" else "augmented"
    values = {line["name"]: line["value"] for line in lines if line["stage"] == "evaluate"}
    recognised = [line for line in lines if line["stage"] == "recognised" and line["recogniser"] == name]
    other = ("baseline_", "augmented_", "accuracy_difference")
    matrix = next(line for line in recognised if "confusion" in line)
    return Measured(
        place=place,
        recognition={measure: values[f"{name}_{measure}"] for measure in RECOGNITION},
        speakers={line["speaker"]: (line["right"], line["n"]) for line in recognised if "speaker" in line},
        sexes={line["speaker"]: line["sex"] for line in recognised if "speaker" in line},
        classes=tuple(matrix["classes"]),
        confusion=np.array(matrix["confusion"]),
        quality={key: value for key, value in values.items() if not key.startswith(other)},
        synthetic=any(line["synthetic"] for line in lines if line["stage"] == "data"),
    )


def summarise(measured: Sequence[Measured]) -> list[CaseResult]:
    """One result for each case of each dataset, number of training speakers and share, in the order of the cases."""
    groups: dict[tuple[Any, ...], list[Measured]] = defaultdict(list)
    for one in measured:
        place = one.place
        groups[place.dataset, place.train_speakers, place.share, place.case].append(one)
    tables: dict[tuple[Any, ...], list[CaseResult]] = defaultdict(list)
    for (dataset, train_speakers, share, _), runs in list(groups.items()):
        baseline = {(run.place.fold, run.place.seed): run for run in groups[dataset, train_speakers, 0.0, "baseline"]}
        whole = {(run.place.fold, run.place.seed): run for run in groups[dataset, train_speakers, 0.0, WHOLE_CASE]}
        tables[dataset, train_speakers, bool(share)].append(_result(runs, baseline, whole))
    found = []
    for results in tables.values():
        adjusted = comparison.holm([result.comparison.p if result.comparison else None for result in results])
        found += [dataclasses.replace(one, adjusted_p=p) for one, p in zip(results, adjusted, strict=True)]
    order = list(CASES)
    return sorted(
        found,
        key=lambda r: (
            r.place.dataset,
            r.place.train_speakers,
            bool(r.place.share),
            order.index(r.place.case),
            r.place.share,
        ),
    )


def _result(
    runs: Sequence[Measured], baseline: dict[tuple[int, int], Measured], whole: dict[tuple[int, int], Measured]
) -> CaseResult:
    values: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for name, value in (run.recognition | run.quality).items():
            values[name].append(value)
    is_baseline = runs[0].place.case == "baseline"
    return CaseResult(
        place=runs[0].place,
        runs=len(runs),
        mean={name: float(np.mean(own)) for name, own in values.items()},
        deviation={name: float(np.std(own, ddof=1)) for name, own in values.items() if len(own) > 1},
        by_sex=_by_sex(runs),
        comparison=None if is_baseline else _compared(runs, baseline),
        adjusted_p=None,
        whole_minus_this=_whole_minus(runs, whole),
        classes=runs[0].classes,
        confusion=np.sum([run.confusion for run in runs], axis=0),
        run_differences={} if is_baseline else _run_differences(runs, baseline),
        speakers=_speaker_accuracies(runs),
        synthetic=runs[0].synthetic,
    )


def _whole_minus(runs: Sequence[Measured], whole: dict[tuple[int, int], Measured]) -> Comparison | None:
    this = {(run.place.fold, run.place.seed): run for run in runs}
    if CASES[runs[0].place.case].group != "spoilt" or whole.keys() != this.keys():
        return None
    return _compared(list(whole.values()), this)


def _run_differences(runs: Sequence[Measured], baseline: dict[tuple[int, int], Measured]) -> dict[str, float]:
    return {
        f"fold {run.place.fold}, seed {run.place.seed}": run.recognition["accuracy"]
        - baseline[run.place.fold, run.place.seed].recognition["accuracy"]
        for run in runs
    }


def _compared(runs: Sequence[Measured], baseline: dict[tuple[int, int], Measured]) -> Comparison:
    """With the same fold's and seed's baseline, speaker by speaker."""
    differences, speakers = [], []
    for run in runs:
        other = baseline[run.place.fold, run.place.seed]
        for speaker, (right, count) in run.speakers.items():
            differences.append(right / count - other.speakers[speaker][0] / other.speakers[speaker][1])
            speakers.append(speaker)
    return comparison.compare(np.array(differences), np.array(speakers))


def _by_sex(runs: Sequence[Measured]) -> dict[str, tuple[float, int]]:
    counts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    people: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for speaker, result in run.speakers.items():
            if sex := run.sexes[speaker]:
                counts[sex].append(result)
                people[sex].add(speaker)
    totals = {sex: np.sum(results, axis=0) for sex, results in counts.items()}
    return {sex: (float(right / count), len(people[sex])) for sex, (right, count) in sorted(totals.items())}


def _speaker_accuracies(runs: Sequence[Measured]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for speaker, (right, count) in run.speakers.items():
            found[speaker].append(right / count)
    return {speaker: float(np.mean(values)) for speaker, values in sorted(found.items())}


def _as_line(result: CaseResult) -> dict[str, Any]:
    line = dataclasses.asdict(result)
    return {**line.pop("place"), **line, "confusion": result.confusion.tolist()}


def read(folder: Path) -> list[CaseResult]:
    """The results that `collect` wrote in a study's folder. Raises UserError where there are none."""
    lines = [line for line in read_metrics(folder) if line.pop("stage") == "summary"]
    if not lines:
        raise UserError(
            f"{folder} has no results of a study; give the folder of one that has ended, such as `make table1` leaves in "
            "demo/table1"
        )
    return [_of_line(line) for line in lines]


def _of_line(line: dict[str, Any]) -> CaseResult:
    place = Place(**{field.name: line.pop(field.name) for field in dataclasses.fields(Place)})
    for name in ("comparison", "whole_minus_this"):
        line[name] = line[name] and Comparison(**line[name])
    line["by_sex"] = {sex: tuple(result) for sex, result in line["by_sex"].items()}
    line["classes"], line["confusion"] = tuple(line["classes"]), np.array(line["confusion"])
    return CaseResult(place=place, **line)
