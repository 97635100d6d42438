"""Writes audit.json and audit.html next to a built dataset, to check the data at a glance. Public name: write_audit."""

import collections
import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import text_format
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tensorflow_metadata.proto.v0 import statistics_pb2

from datasets import validation
from datasets.builder import PairsBuilder
from datasets.store import ClipStore, Rejected
from datasets.validation import Anomaly
from emogan import drawing
from emogan.config import MediaConfig, from_json
from trainers.reports import pages, plots
from trainers.runs.folder import write_atomically

DISTRIBUTIONS = {
    "sound_seconds": "length of the audio, s",
    "level_dbfs": "level, dB relative to a full-scale sine",
    "face_confidence": "MTCNN's confidence",
    "face_width": "width of the face in the frame, pixels",
    "face_count": "faces in the frame",
    "invented_share": "share of the image outside the frame",
    "floor_share": "share of pixels at the floor",
}
COUNTS = ("synthetic", "clips", "examples", "left_out", "not_read", "rejections", "rejected")
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
SHEET_CLIPS = 24
SHOWN_REJECTIONS = 60
MAX_SPEAKER_ROWS = 120

Facts = Mapping[str, np.ndarray]


def write_audit(builder: PairsBuilder, facts: Facts, anomalies: Sequence[Anomaly], folder: Path) -> Path:
    """Writes `audit.json`, `audit.html`, and TFDV's statistics as `statistics.pbtxt`.

    Args:
        builder: builder of the dataset.
        facts: see `datasets.facts.read_facts`.
        anomalies: see `datasets.validation.anomalies`.
        folder: folder of the dataset's configuration.

    Returns:
        Path of the page.
    """
    metadata = builder.info.metadata
    media = from_json(MediaConfig, metadata["media"])
    counts = _counts(builder, facts)
    statistics = validation.statistics(builder, facts)
    write_atomically(folder / "statistics.pbtxt", text_format.MessageToString(statistics))
    summary = {
        "dataset": builder.info.full_name,
        **{name: metadata[name] for name in COUNTS},
        "anomalies": [dataclasses.asdict(anomaly) for anomaly in anomalies],
        "speakers": counts,
        "features": {feature.path.step[0]: _feature(feature) for feature in statistics.datasets[0].features},
        "distributions": {name: _quantiles(facts["split"], facts[name]) for name in DISTRIBUTIONS},
        "frame_offsets": dict(sorted(collections.Counter(facts["frame_offset"].tolist()).items())),
        "media": json.loads(metadata["media"]),
    }
    write_atomically(folder / "audit.json", json.dumps(summary, indent=2))
    sheet = _sheet(builder)
    page = pages.render(
        "audit.html.j2",
        summary=summary,
        splits={name: split.num_examples for name, split in sorted(builder.info.splits.items())},
        counts=pages.image(lambda: _count_figure(counts), "Number of clips by speaker and emotion"),
        distributions=pages.image(lambda: _distribution_figure(facts), "Distributions by split"),
        offsets=pages.image(lambda: _offset_figure(summary["frame_offsets"]), "Number of clips by frame offset"),
        sheet=pages.image(lambda: _sheet_figure(sheet, media), f"{len(sheet)} faces with their spectrograms"),
        rejected=_evidence(metadata["rejected"], ClipStore.of(builder.store_dir, media)),
    )
    write_atomically(folder / "audit.html", page)
    return folder / "audit.html"


def _counts(builder: PairsBuilder, facts: Facts) -> dict[str, dict[str, int]]:
    """Speaker -> emotion -> number of clips; without labels, the only column is `clips`."""
    names = builder.info.features["label"].names if "label" in facts else ["clips"]
    labels = facts["label"] if "label" in facts else np.zeros(len(facts["split"]), int)
    speakers: dict[str, dict[str, int]] = {}
    for speaker in sorted(set(facts["speaker_id"].tolist())):
        own = np.bincount(labels[facts["speaker_id"] == speaker], minlength=len(names))
        speakers[speaker] = dict(zip(names, own.tolist(), strict=True))
    return speakers


def _feature(feature: statistics_pb2.FeatureNameStatistics) -> dict[str, Any]:
    """TFDV's statistics of one feature, for a row of a table."""
    if feature.HasField("num_stats"):
        numbers = feature.num_stats
        common = numbers.common_stats
        found = {name: getattr(numbers, name) for name in ("min", "median", "max", "mean", "std_dev")}
    else:
        common = feature.string_stats.common_stats
        top = feature.string_stats.top_values
        found = {"unique": feature.string_stats.unique, "top": {value.value: int(value.frequency) for value in top[:3]}}
    return {"missing": common.num_missing, **found}


def _quantiles(splits: np.ndarray, values: np.ndarray) -> dict[str, dict[str, float]]:
    groups = {"all": values} | {split: values[splits == split] for split in sorted(set(splits.tolist()))}
    return {
        name: {f"{100 * q:g}%": float(value) for q, value in zip(QUANTILES, np.quantile(group, QUANTILES), strict=True)}
        for name, group in groups.items()
    }


def _sheet(builder: PairsBuilder) -> list[dict[str, Any]]:
    """The first examples of each split: a random sample, since examples are stored in the order of a hash."""
    share = math.ceil(SHEET_CLIPS / len(builder.info.splits))
    datasets = [builder.as_dataset(split=name).take(share) for name in sorted(builder.info.splits)]
    return list(itertools.chain.from_iterable(map(tfds.as_numpy, datasets)))[:SHEET_CLIPS]


def _evidence(rejected: Sequence[Mapping[str, str]], store: ClipStore) -> list[dict[str, str]]:
    """The first rejections, each with the thumbnail in the store, if any."""
    rows = []
    for row in rejected[:SHOWN_REJECTIONS]:
        stored = store.load(row["key"]) if row["key"] else None
        thumbnail = stored.thumbnail if isinstance(stored, Rejected) else b""
        rows.append({**row, "thumbnail": pages.data_uri("image/jpeg", thumbnail) if thumbnail else ""})
    return rows


def _count_figure(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """Clips by speaker and emotion; for many speakers, a histogram of the number of clips of a speaker."""
    table = np.array([list(row.values()) for row in counts.values()])
    names = list(next(iter(counts.values())))
    if len(table) > MAX_SPEAKER_ROWS:
        figure = Figure(figsize=(6, 2.2), dpi=120, layout="constrained")
        axes = figure.subplots()
        axes.hist(table.sum(1), bins=40, color="tab:blue")
        axes.set(xlabel="clips of a speaker", ylabel="speakers")
        return figure
    figure = Figure(figsize=(max(2.5, 0.16 * len(table) + 1), 0.25 * len(names) + 1.1), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table.T, cmap="Blues", vmin=0, aspect="auto")
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xticks(range(len(table)), counts, rotation=90, fontsize=6, parse_math=False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="clips", ticks=MaxNLocator(5, integer=True))
    return figure


def _distribution_figure(facts: Facts) -> Figure:
    splits = sorted(set(facts["split"].tolist()))
    figure = Figure(figsize=(2.3 * len(DISTRIBUTIONS), 0.28 * len(splits) + 1), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(DISTRIBUTIONS), sharey=True)
    for axes, (name, title) in zip(panels, DISTRIBUTIONS.items(), strict=True):
        values = [facts[name][facts["split"] == split] for split in splits]
        axes.boxplot(
            values, orientation="horizontal", whis=(1, 99), flierprops={"markersize": 2}, **_line_colours(axes)
        )
        axes.set_yticks(range(1, len(splits) + 1), splits)
        axes.set_xlabel(title, fontsize=7)
        axes.invert_yaxis()
    return figure


def _line_colours(axes: Axes) -> dict[str, dict[str, Any]]:
    """Properties of a box plot that draw its lines in the theme's text colour."""
    colour = axes.xaxis.label.get_color()
    return {f"{part}props": {"color": colour} for part in ("box", "whisker", "cap")}


def _offset_figure(offsets: Mapping[int, int]) -> Figure:
    figure = Figure(figsize=(5, 1.8), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.bar(list(offsets), list(offsets.values()), color="tab:blue")
    axes.set(xlabel="offset from the middle frame, frames", ylabel="clips", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    limit = max(map(abs, offsets)) + 1
    axes.set_xlim(-limit, limit)
    return figure


def _sheet_figure(examples: Sequence[Mapping[str, Any]], media: MediaConfig) -> Figure:
    columns = 6
    rows = math.ceil(len(examples) / columns)
    figure = Figure(figsize=(2 * columns, 3.2 * rows), dpi=100, layout="constrained")
    cells = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    for number, example in enumerate(examples):
        row, column = divmod(number, columns)
        above, below = cells[2 * row, column], cells[2 * row + 1, column]
        plots.draw_face(above, example["face"], example["landmarks"])
        above.set_title(example["clip_id"].decode(), fontsize=6, parse_math=False)
        below.set_axis_on()
        drawing.draw_spectrogram(below, example["spectrogram"].astype(np.float32), media.spectrogram)
        below.tick_params(labelsize=5)
        below.set_xlabel("")
        below.set_ylabel("")
    return figure
