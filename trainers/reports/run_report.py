"""Writes report.html into a run folder: a self-contained page with the training and the results of the run.

Public names: write_report; read_samples, sample_section and audio_section, which other reports use too.

Reads config.json, metrics.jsonl, calibrate/served.json (whether the corpus is synthetic), and in evaluate/ samples.npz,
confusion_*.csv and audio/**/*.wav. Missing parts are shown as "not run yet".
"""

import functools
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emogan import drawing
from emogan.config import from_json
from emogan.errors import UserError
from trainers.reports import pages, plots, run_table
from trainers.runs.config import RunConfig
from trainers.runs.folder import read_metrics
from trainers.runs.phases import phases
from trainers.runs.recognisers import RECOGNISERS, recognisers

STAGES = {
    "pretrain": "Stage 1, weight initialisation",
    "calibrate": "Stage 2, calibration",
    **{f"recognise_{name}": f"Recogniser {name}, trained on {one.data}" for name, one in RECOGNISERS.items()},
}
REQUESTED = "Generated: requested emotion against predicted emotion"

_MAX_SAMPLES = 6
_AUDIO = re.compile(r"(?P<clip_id>.+)_(?P<what>real|generated_(?P<emotion>.+))\.wav")


def write_report(run_dir: Path) -> Path:
    """Writes `<run_dir>/report.html` with all results so far, and returns its path.

    Raises:
        UserError: if `run_dir` is not a run folder, or one of its files is damaged.
    """
    if not any((run_dir / name).is_file() for name in ("config.json", "metrics.jsonl")):
        raise UserError(f"{run_dir} is not a run folder: it has neither config.json nor metrics.jsonl")
    config = _read_json(run_dir / "config.json")
    run_config = from_json(RunConfig, json.dumps(config)) if config else None
    reverse = run_config is not None and run_config.model.direction == "audio_to_face"
    generated = run_config is None or run_config.schedule != "none"
    lines = read_metrics(run_dir)
    results = run_table.read_results(lines)
    samples = read_samples(run_dir)
    page = pages.render(
        "report.html.j2",
        name="/".join(run_dir.resolve().parts[-2:]),
        synthetic=any(line.get("synthetic") for line in lines if line["stage"] == "data")
        or _read_json(run_dir / "calibrate" / "served.json").get("synthetic") is True,
        generated=generated,
        source="spectrogram" if reverse else "face",
        target="face" if reverse else "spectrogram",
        phases=_phases_section(run_config),
        named={result.name: result for result in reversed(results)},
        groups=run_table.grouped(results),
        comparisons=[one for one in results if one.name.startswith("accuracy_")],
        paper=run_table.PAPER_TABLE_1,
        paper_columns=run_table.PAPER_COLUMNS,
        samples=sample_section(samples),
        clips=audio_section(run_dir, samples),
        confusions=_confusion_section(run_dir, run_config),
        curves=_curve_section(lines, run_config),
        config=json.dumps(config, indent=2, ensure_ascii=False) if config else "",
    )
    path = run_dir / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON ({error}); restore it from the original run") from error


def read_samples(run_dir: Path) -> dict[str, np.ndarray] | None:
    """The samples written by the evaluation, or None if there are none yet."""
    path = run_dir / "evaluate" / "samples.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _phases_section(config: RunConfig | None) -> dict[str, str] | None:
    if config is None:
        return None
    alt = "State of each network by stage. " + ". ".join(
        f"{phase.stage}: {', '.join(f'{network} {state}' for network, state in phase.state.items())}"
        for phase in phases(config)
    )
    return pages.image(lambda: plots.phases_figure(phases(config)), alt)


def sample_section(samples: dict[str, np.ndarray] | None) -> dict[str, Any] | None:
    """Image of sources, their real targets and generated targets, with the clips' ids."""
    if samples is None:
        return None
    sources, real, generated, labels, clip_ids = (
        samples[key][:_MAX_SAMPLES] for key in ("sources", "real", "generated", "labels", "clip_ids")
    )
    names, draws = samples["names"].tolist(), samples["draws"]
    source, target = ("face", "spectrogram") if sources.shape[-1] == 3 else ("spectrogram", "face")
    shown = f"{len(sources)} {source}s, each with its clip's real {target}"
    alt = f"{shown} and generated {target}s for {', '.join(names)}; {draws.shape[1]} further draws for the first one"
    return {
        "image": pages.image(lambda: plots.sample_figure(sources, real, generated, draws, names, labels), alt),
        "clip_ids": clip_ids.tolist(),
    }


def audio_section(
    run_dir: Path, samples: dict[str, np.ndarray] | None, at_most: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Clip id -> its audio files, the real one first, each with its spectrogram if it is in the samples."""
    folder = run_dir / "evaluate" / "audio"
    matches = ((path, _AUDIO.fullmatch(path.relative_to(folder).as_posix())) for path in folder.rglob("*.wav"))
    files = [(match["clip_id"], match["emotion"] or "", path) for path, match in matches if match]
    return {
        clip_id: [
            {
                "title": emotion or "real",
                "uri": pages.data_uri("audio/wav", path.read_bytes()),
                "image": _spectrogram_image(samples, clip_id, emotion),
            }
            for _, emotion, path in members
        ]
        for clip_id, members in itertools.islice(itertools.groupby(sorted(files), key=lambda file: file[0]), at_most)
    }


def _spectrogram_image(samples: dict[str, np.ndarray] | None, clip_id: str, emotion: str) -> dict[str, str] | None:
    if samples is None or clip_id not in samples["clip_ids"]:
        return None
    row = samples["clip_ids"].tolist().index(clip_id)
    if not emotion:
        spectrogram = samples["real"][row]
    elif emotion in (names := samples["names"].tolist()):
        spectrogram = samples["generated"][row, names.index(emotion)]
    else:
        return None
    alt = f"Spectrogram of {clip_id}, {f'generated for {emotion}' if emotion else 'real'}"
    return pages.image(lambda: drawing.spectrogram_figure(spectrogram), alt)


def _confusion_section(run_dir: Path, config: RunConfig | None) -> list[dict[str, Any]]:
    section = []
    names = recognisers(config) if config else list(RECOGNISERS)
    titles = {name: f"{name}: trained on {RECOGNISERS[name].data}, tested on real" for name in names}
    if config is None or config.schedule != "none":
        titles["requested"] = REQUESTED
    for name, title in titles.items():
        path = run_dir / "evaluate" / f"confusion_{name}.csv"
        section.append({"title": title, "image": _confusion_image(path, title) if path.is_file() else None})
    return section


def _confusion_image(path: Path, title: str) -> dict[str, str]:
    names = path.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")
    try:
        counts = np.loadtxt(path, dtype=np.int64, delimiter=",", skiprows=1, ndmin=2)
    except ValueError as error:
        raise UserError(f"{path} is not a table of counts ({error}); evaluate the run again") from error
    if counts.shape != (len(names), len(names)):
        raise UserError(f"{path} has counts {counts.shape} for {len(names)} classes; evaluate the run again")
    alt = f"Confusion matrix. {title}. {int(np.trace(counts))} of {int(counts.sum())} correct"
    return pages.image(lambda: plots.confusion(counts, names), alt)


def _curve_section(lines: Sequence[dict[str, Any]], config: RunConfig | None) -> list[dict[str, Any]]:
    curves: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if "step" in line:
            stage, _, part = str(line["stage"]).partition("/")  # a recogniser's trainings share one panel
            curves.setdefault(stage if stage in STAGES else f"{stage}/{part}", []).append(line)
    planned = [phase.stage for phase in phases(config) if phase.steps] if config else list(STAGES)
    titles = {stage: title for stage, title in STAGES.items() if stage in planned or stage in curves}
    titles |= {stage: f"f_S, {stage.rpartition('/')[2].replace('_', ' ')}" for stage in sorted(curves.keys() - STAGES)}
    section = []
    for stage, title in titles.items():
        own = curves.get(stage, [])
        alt = f"{title}: all logged metrics over the steps"
        image = pages.image(functools.partial(plots.loss_curves, own), alt) if own else None
        section.append({"title": title, "image": image})
    return section
