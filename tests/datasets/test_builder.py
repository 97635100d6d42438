"""Builds end in the same bytes however they were done, and decode no clip twice."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import datasets
from datasets import workers
from datasets.distributed import pipeline_options
from datasets.facts import read_facts
from emogan.errors import UserError

CLIPS = 30
TWO_PROCESSES = "runner=DirectRunner,direct_num_workers=2,direct_running_mode=multi_processing"


def build(corpus: Path, data_dir: Path, config: str = "64", beam: str = "", **settings) -> dict[str, bytes]:
    """Builds crema_d_av and returns its files."""
    builder = datasets.BUILDERS["crema_d_av"](data_dir=data_dir, config=config, **settings)
    download_config = tfds.download.DownloadConfig(
        manual_dir=corpus, beam_options=pipeline_options(beam) if beam else None
    )
    builder.download_and_prepare(download_config=download_config)
    return {path.name: path.read_bytes() for path in builder.data_path.iterdir()}


def kept_clips(data_dir: Path) -> dict[Path, int]:
    """The files of the store and when they were written."""
    return {path: path.stat().st_mtime_ns for path in (data_dir / "clips").glob("??/*.npz")}


@pytest.fixture(scope="module")
def built(minute_data) -> dict[str, bytes]:
    """The files of a build by one process."""
    folder = datasets.BUILDERS["crema_d_av"](data_dir=minute_data, config="64").data_path
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_config_decodes_nothing(minute_corpora, minute_data, tmp_path, monkeypatch):
    (tmp_path / "clips").symlink_to(minute_data / "clips")
    before = kept_clips(tmp_path)
    monkeypatch.setattr("datasets.pairs.extract", lambda *_: pytest.fail("a clip is decoded"))
    build(minute_corpora / "crema_d", tmp_path, "128")
    assert kept_clips(tmp_path) == before
    large, small = (
        read_facts(datasets.BUILDERS["crema_d_av"](data_dir=folder, config=config))
        for folder, config in ((tmp_path, "128"), (minute_data, "64"))
    )
    np.testing.assert_array_equal(large["clip_id"], small["clip_id"])
    np.testing.assert_array_equal(large["level_dbfs"], small["level_dbfs"])


def test_facts_are_the_scalars_of_all_examples(minute_data):
    builder = datasets.BUILDERS["crema_d_av"](data_dir=minute_data, config="64")
    facts = read_facts(builder)
    assert {"face", "spectrogram", "landmarks"}.isdisjoint(facts)
    assert facts["split"].tolist() == [f"fold_{fold}" for fold in range(5) for _ in range(CLIPS // 5)]
    rows = [row for fold in range(5) for row in tfds.as_numpy(builder.as_dataset(split=f"fold_{fold}"))]
    for name, values in facts.items():
        if name != "split":
            expected = [row[name].decode() if isinstance(row[name], bytes) else row[name] for row in rows]
            np.testing.assert_array_equal(values, expected, err_msg=name)


def test_options_that_beam_does_not_know():
    with pytest.raises(UserError, match="Beam knows no direct_num_wrokers"):
        pipeline_options("runner=DirectRunner,direct_num_wrokers=2")


@pytest.mark.slow
def test_processes_change_no_byte(minute_corpora, built, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MIN_ITEMS", 2)
    assert build(minute_corpora / "crema_d", tmp_path, workers=2) == built


@pytest.mark.slow
@pytest.mark.parametrize("beam", ["runner=DirectRunner", TWO_PROCESSES])
def test_beam_changes_no_byte(minute_corpora, built, tmp_path, beam):
    (corpus := tmp_path / "corpus").mkdir()
    for part in (minute_corpora / "crema_d").iterdir():
        (corpus / part.name).symlink_to(part)
    assert build(corpus, tmp_path / "data", beam=beam) == built


def test_a_killed_build_goes_on_where_it_stopped(minute_corpora, built, tmp_path):
    corpus = minute_corpora / "crema_d"
    command = [sys.executable, "-m", "trainers.prepare", "--dataset=crema_d_av", f"--manual_dir={corpus}"]
    process = subprocess.Popen([*command, f"--data_dir={tmp_path}", "--workers=1"], stderr=subprocess.DEVNULL)
    while len(kept_clips(tmp_path)) < 0.6 * CLIPS:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = kept_clips(tmp_path)
    assert build(corpus, tmp_path) == built
    after = kept_clips(tmp_path)
    assert len(after) == CLIPS
    assert before.items() <= after.items()
    assert len(after) - len(before) <= 0.45 * CLIPS
