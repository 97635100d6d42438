"""Results of a study, from the metrics of its runs: means of each case, and comparisons with the baseline.

Public names: Measured, CaseResult, collect, put_together, measured, summarise, read.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emogan.errors import UserError
from emogan.metrics import comparison
from emogan.metrics.comparison import Comparison
from trainers.runs.folder import read_metrics, write_atomically
from trainers.runs.recognisers import RECOGNISERS
from trainers.study.cases import CASES, WHOLE_CASE
from trainers.study.plan import Place, PlannedRun
from trainers.study.running import why_no_result

RECOGNITION = ("accuracy", "uar", "macro_f1")
"""Metrics of a recogniser; the paper reports accuracy."""
_OF_A_RUN = ("evaluate", "recognised", "data")
"""Stages of a run's metrics.jsonl that are copied to the study's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """The metrics of one recogniser of one run on its test fold.

    Attributes:
        place: position of the run in the study, with the recogniser.
        recognition: the metrics of `RECOGNITION`, in [0, 1].
        speakers: numbers of correct and of all clips of each test speaker, summed over the recogniser's seeds.
        sexes: sex of each test speaker, male or female, if the corpus has it.
        classes: names of the emotions.
        confusion: counts, int [classes, classes], rows true and columns predicted.
        quality: further metrics by name; empty without a GAN.
        counts: n of each of these: number of clips, or pairs of clips.
        synthetic: whether the corpus is synthetic.
    """

    place: Place
    recognition: dict[str, float]
    speakers: dict[str, tuple[int, int]]
    sexes: dict[str, str]
    classes: tuple[str, ...]
    confusion: np.ndarray
    quality: dict[str, float]
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    synthetic: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseResult:
    """The results of a recogniser of a case on one dataset, over folds and seeds.

    Attributes:
        place: position of its first run.
        runs: number of runs.
        mean, deviation: mean and standard deviation over folds and seeds, for each of `RECOGNITION` and each quality metric;
            no deviation for a single run.
        counts: minimum and maximum n of each quality metric over runs.
        by_sex: accuracy over all clips of speakers of one sex, pooled over folds and seeds, and number of these speakers.
        comparison: comparison with the recogniser `Case.against`, on the same folds, seeds and training speakers; None for
            `bare`.
        adjusted_p: its p-value, corrected by Holm's method among the primary comparisons of the table if it is one, otherwise
            among the others; None without a p-value.
        whole_minus_this: for a case of the group `ablations`, difference of `WHOLE_CASE` to it: the value of the ablated input.
        classes: names of the emotions.
        confusion: counts, summed over runs, int [classes, classes], rows true and columns predicted.
        run_differences: difference in accuracy for each fold and seed, by `fold f, seed s`.
        speakers: accuracy of each test speaker, averaged over seeds.
        synthetic: whether the corpus is synthetic.
    """

    place: Place
    runs: int
    mean: dict[str, float]
    deviation: dict[str, float]
    counts: dict[str, tuple[int, int]]
    by_sex: dict[str, tuple[float, int]]
    comparison: Comparison | None
    adjusted_p: float | None
    whole_minus_this: Comparison | None
    classes: tuple[str, ...]
    confusion: np.ndarray
    run_differences: dict[str, float]
    speakers: dict[str, float]
    synthetic: bool = False

    @property
    def title(self) -> str:
        """Its title in tables."""
        return CASES[self.place.case].row_title(self.place.recogniser)

    @property
    def is_primary(self) -> bool:
        """See `Case.is_primary`."""
        return CASES[self.place.case].is_primary(self.place.recogniser)


def collect(runs: Sequence[PlannedRun], folder: Path) -> list[CaseResult]:
    """Reads the metrics of all runs, summarises them, and writes both to metrics.jsonl in the study's folder.

    A run without a result has a single line with the reason.
    """
    lines = []
    for run in runs:
        if run.place is None:
            continue
        if why := why_no_result(folder / run.path):
            lines.append({"run": run.path, **dataclasses.asdict(run.place), "stage": "no_result", "why": why})
            continue
        own = [line for line in read_metrics(folder / run.path) if line["stage"] in _OF_A_RUN]
        lines += [{"run": run.path, **dataclasses.asdict(run.place), **line} for line in own]
    return _write(lines, folder)


def put_together(folders: Sequence[Path], output: Path) -> list[CaseResult]:
    """Merges parts of a study, such as folds that ran on machines without a shared folder.

    Args:
        folders: folders of the parts, each with the metrics.jsonl of `collect`.
        output: folder for the metrics.jsonl of the whole study.

    Raises:
        UserError: if a part has no results, or two parts have the same run.
    """
    lines: list[dict[str, Any]] = []
    for folder in folders:
        read(folder)
        own = [line for line in read_metrics(folder) if line["stage"] != "summary"]
        common = sorted({line["run"] for line in own} & {line["run"] for line in lines})
        if common:
            raise UserError(f"{folder} and another part both have the run {common[0]}; give parts without common runs")
        lines += own
    output.mkdir(parents=True, exist_ok=True)
    return _write(lines, output)


def _write(lines: list[dict[str, Any]], folder: Path) -> list[CaseResult]:
    found = summarise(measured(lines))
    summary = [{"stage": "summary", **_as_line(result)} for result in found]
    write_atomically(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in [*lines, *summary]))
    return found


def measured(lines: Sequence[dict[str, Any]]) -> list[Measured]:
    """The metrics of each run and recogniser, from the lines of a study's metrics.jsonl; ignores summaries."""
    by_run: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["stage"] in _OF_A_RUN:
            by_run[line["run"]].append(line)
    found = []
    for own in by_run.values():
        place = Place(**{field.name: own[0][field.name] for field in dataclasses.fields(Place)})
        found += [_measured(dataclasses.replace(place, recogniser=name), own) for name in CASES[place.case].recognisers]
    return found


def _measured(place: Place, lines: Sequence[dict[str, Any]]) -> Measured:
    name = place.recogniser
    values = {line["name"]: line["value"] for line in lines if line["stage"] == "evaluate"}
    counts = {line["name"]: line["n"] for line in lines if line["stage"] == "evaluate"}
    recognised = [line for line in lines if line["stage"] == "recognised" and line["recogniser"] == name]
    other = tuple(f"{one}_{measure}" for one in RECOGNISERS if one != "generated" for measure in RECOGNITION)
    matrix = next(line for line in recognised if "confusion" in line)
    quality = {
        key: value
        for key, value in values.items()
        if value is not None and key not in other and not key.startswith("accuracy_")
    }
    return Measured(
        place=place,
        recognition={measure: values[f"{name}_{measure}"] for measure in RECOGNITION},
        speakers={line["speaker"]: (line["right"], line["n"]) for line in recognised if "speaker" in line},
        sexes={line["speaker"]: line["sex"] for line in recognised if "speaker" in line},
        classes=tuple(matrix["classes"]),
        confusion=np.array(matrix["confusion"]),
        quality=quality,
        counts={name: counts[name] for name in quality},
        synthetic=any(line["synthetic"] for line in lines if line["stage"] == "data"),
    )


def summarise(measured: Sequence[Measured]) -> list[CaseResult]:
    """One result per dataset, number of training speakers, case, share and recogniser, in this order."""
    groups: dict[tuple[Any, ...], dict[tuple[int, int], Measured]] = defaultdict(dict)
    for one in measured:
        place = one.place
        key = place.dataset, place.train_speakers, place.share, place.case, place.recogniser
        groups[key][place.fold, place.seed] = one
    families: dict[tuple[Any, ...], list[CaseResult]] = defaultdict(list)
    for (dataset, train_speakers, share, case, recogniser), runs in list(groups.items()):
        base = groups.get((dataset, train_speakers, 0.0, "baseline", CASES[case].against(recogniser)), {})
        whole = groups.get((dataset, train_speakers, 0.0, WHOLE_CASE, recogniser), {})
        result = _result(runs, base, whole)
        families[dataset, train_speakers, bool(share), result.is_primary].append(result)
    found = []
    for results in families.values():
        adjusted = comparison.holm([result.comparison.p if result.comparison else None for result in results])
        found += [dataclasses.replace(one, adjusted_p=p) for one, p in zip(results, adjusted, strict=True)]
    order, inner = list(CASES), list(RECOGNISERS)
    return sorted(
        found,
        key=lambda r: (
            r.place.dataset,
            r.place.train_speakers,
            bool(r.place.share),
            order.index(r.place.case),
            r.place.share,
            inner.index(r.place.recogniser),
        ),
    )


def _result(
    runs: Mapping[tuple[int, int], Measured],
    base: Mapping[tuple[int, int], Measured],
    whole: Mapping[tuple[int, int], Measured],
) -> CaseResult:
    values: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, list[int]] = defaultdict(list)
    for run in runs.values():
        for name, count in run.counts.items():
            counts[name].append(count)
        for name, value in (run.recognition | run.quality).items():
            values[name].append(value)
    first = next(iter(runs.values()))
    is_ablation = CASES[first.place.case].group == "ablations" and whole.keys() == runs.keys()
    return CaseResult(
        place=first.place,
        runs=len(runs),
        mean={name: float(np.mean(own)) for name, own in values.items()},
        deviation={name: float(np.std(own, ddof=1)) for name, own in values.items() if len(own) > 1},
        counts={name: (min(own), max(own)) for name, own in counts.items()},
        by_sex=_by_sex(runs.values()),
        comparison=_compared(runs, base) if base else None,
        adjusted_p=None,
        whole_minus_this=_compared(whole, runs) if is_ablation else None,
        classes=first.classes,
        confusion=np.sum([run.confusion for run in runs.values()], axis=0),
        run_differences=_run_differences(runs, base) if base else {},
        speakers=_speaker_accuracies(runs.values()),
        synthetic=first.synthetic,
    )


def _run_differences(
    runs: Mapping[tuple[int, int], Measured], base: Mapping[tuple[int, int], Measured]
) -> dict[str, float]:
    return {
        f"fold {fold}, seed {seed}": run.recognition["accuracy"] - base[fold, seed].recognition["accuracy"]
        for (fold, seed), run in runs.items()
    }


def _compared(runs: Mapping[tuple[int, int], Measured], base: Mapping[tuple[int, int], Measured]) -> Comparison:
    """Compares two recognisers on the same folds and seeds, by speaker."""
    differences, speakers = [], []
    for key, run in runs.items():
        for speaker, (right, count) in run.speakers.items():
            other_right, other_count = base[key].speakers[speaker]
            differences.append(right / count - other_right / other_count)
            speakers.append(speaker)
    return comparison.compare(np.array(differences), np.array(speakers))


def _by_sex(runs: Collection[Measured]) -> dict[str, tuple[float, int]]:
    counts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    people: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for speaker, result in run.speakers.items():
            if sex := run.sexes[speaker]:
                counts[sex].append(result)
                people[sex].add(speaker)
    totals = {sex: np.sum(results, axis=0) for sex, results in counts.items()}
    return {sex: (float(right / count), len(people[sex])) for sex, (right, count) in sorted(totals.items())}


def _speaker_accuracies(runs: Collection[Measured]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for speaker, (right, count) in run.speakers.items():
            found[speaker].append(right / count)
    return {speaker: float(np.mean(values)) for speaker, values in sorted(found.items())}


def _as_line(result: CaseResult) -> dict[str, Any]:
    line = dataclasses.asdict(result)
    return {**line.pop("place"), **line, "confusion": result.confusion.tolist()}


def read(folder: Path) -> list[CaseResult]:
    """Reads the results that `collect` wrote to a study's folder. Raises UserError if there are none."""
    lines = [line for line in read_metrics(folder) if line.pop("stage") == "summary"]
    if not lines:
        raise UserError(
            f"{folder} has no results of a study; give the folder of a finished study, such as demo/table1 of `make table1`"
        )
    if any("recogniser" not in line for line in lines):
        raise UserError(f"{folder} has results of an earlier version; run the study again in another folder")
    return [_of_line(line) for line in lines]


def _of_line(line: dict[str, Any]) -> CaseResult:
    place = Place(**{field.name: line.pop(field.name) for field in dataclasses.fields(Place)})
    for name in ("comparison", "whole_minus_this"):
        line[name] = line[name] and Comparison(**line[name])
    line["counts"] = {name: tuple(counts) for name, counts in line["counts"].items()}
    line["by_sex"] = {sex: tuple(result) for sex, result in line["by_sex"].items()}
    line["classes"], line["confusion"] = tuple(line["classes"]), np.array(line["confusion"])
    return CaseResult(place=place, **line)
