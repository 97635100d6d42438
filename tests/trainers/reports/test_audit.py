"""The audit of a built dataset: its statistics, recomputed from the examples, and the contents of its page."""

import collections
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow_data_validation as tfdv
import tensorflow_datasets as tfds

import datasets
from datasets.facts import read_facts
from datasets.validation import Anomaly
from trainers.reports.audit import write_audit

CREMA_D = Path(datasets.__file__).parent / "crema_d_av" / "dummy_data"
ANOMALY = Anomaly(
    where="fold_0", feature="level_dbfs", what="Out-of-range values", detail="Unexpectedly high value: 5>0"
)


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    """Three examples and two rejected clips, one of them with a readable image."""
    corpus, data_dir = tmp_path_factory.mktemp("corpus") / "CREMA-D", tmp_path_factory.mktemp("tfds")
    shutil.copytree(CREMA_D, corpus)
    for name, suffix, damaged in (("1038_IEO_SAD_XX", "flv", "wav"), ("1039_IEO_SAD_XX", "wav", "flv")):
        whole = {"flv": "VideoFlash", "wav": "AudioWAV"}
        shutil.copy(corpus / whole[suffix] / f"1001_IEO_ANG_LO.{suffix}", corpus / whole[suffix] / f"{name}.{suffix}")
        (corpus / whole[damaged] / f"{name}.{damaged}").write_text("404 not found\n")
    for pointer in corpus.glob("*/1037*"):
        pointer.unlink()
    builder = datasets.BUILDERS["crema_d_av"](data_dir=data_dir, config="64", max_rejects=0.5)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=corpus))
    return builder


def test_figures_are_those_of_the_examples(builder, tmp_path):
    page = write_audit(builder, read_facts(builder), [ANOMALY], tmp_path)
    assert page == tmp_path / "audit.html"
    summary = json.loads((tmp_path / "audit.json").read_text())
    examples = list(tfds.as_numpy(builder.as_dataset(split="all")))
    assert (summary["clips"], summary["examples"], len(examples)) == (5, 3, 3)
    assert summary["speakers"]["1001"] == {
        "anger": 1, "disgust": 1, "fear": 0, "happy": 0, "neutral": 0, "sad": 0,
    }  # fmt: skip
    assert sum(summary["speakers"]["1019"].values()) == 1
    levels = [float(example["level_dbfs"]) for example in examples]
    found = summary["distributions"]["level_dbfs"]["all"]
    assert (found["0%"], found["50%"], found["100%"]) == pytest.approx((min(levels), np.median(levels), max(levels)))
    assert set(summary["distributions"]["face_count"]["all"].values()) == {1}
    offsets = collections.Counter(str(int(example["frame_offset"])) for example in examples)
    assert summary["frame_offsets"] == offsets
    assert summary["anomalies"] == [
        {"where": "fold_0", "feature": "level_dbfs", "what": "Out-of-range values", "detail": ANOMALY.detail}
    ]


def test_statistics_are_those_of_the_examples(builder, tmp_path):
    write_audit(builder, read_facts(builder), [], tmp_path)
    found = tfdv.load_stats_text(str(tmp_path / "statistics.pbtxt"))
    assert [(part.name, part.num_examples) for part in found.datasets] == [("all", 3), ("fold_0", 2), ("fold_1", 1)]
    summary = json.loads((tmp_path / "audit.json").read_text())["features"]
    levels = [float(example["level_dbfs"]) for example in tfds.as_numpy(builder.as_dataset(split="all"))]
    assert summary["level_dbfs"] == pytest.approx(
        {"missing": 0, "min": min(levels), "median": np.median(levels), "max": max(levels), "mean": np.mean(levels),
         "std_dev": np.std(levels)}, abs=1e-4,
    )  # fmt: skip
    assert summary["speaker_id"] == {"missing": 0, "unique": 2, "top": {"1001": 2, "1019": 1}}


def test_the_page_shows_the_evidence(builder, tmp_path):
    text = write_audit(builder, read_facts(builder), [ANOMALY], tmp_path).read_text()
    assert "3 of 5 clips became examples; 2 were rejected, 0 left out; 1 anomalies" in text
    assert "Unexpectedly high value: 5&gt;0" in text
    assert "AudioWAV/1038_IEO_SAD_XX.wav" in text
    assert "VideoFlash/1039_IEO_SAD_XX.flv" in text
    assert text.count("data:image/jpeg") == 1  # of the clip with a readable image
    assert "http" not in text.replace("http-equiv", "")  # self-contained
