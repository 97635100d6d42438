"""Builds end in the same bytes however they were done, and decode no clip twice."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import datasets
from datasets import distributed, workers
from datasets.distributed import pipeline_options
from datasets.facts import read_facts
from emogan.errors import UserError

ROOT = Path(__file__).parent.parent.parent
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
def built(tiny_data) -> dict[str, bytes]:
    """The files of a build by one process."""
    folder = datasets.BUILDERS["crema_d_av"](data_dir=tiny_data, config="64").data_path
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_config_decodes_nothing(tiny_corpora, tiny_data, tmp_path, monkeypatch):
    (tmp_path / "clips").symlink_to(tiny_data / "clips")
    before = kept_clips(tmp_path)
    monkeypatch.setattr("datasets.pairs.extract", lambda *_: pytest.fail("a clip is decoded"))
    build(tiny_corpora / "crema_d", tmp_path, "128")
    assert kept_clips(tmp_path) == before
    large, small = (
        read_facts(datasets.BUILDERS["crema_d_av"](data_dir=folder, config=config))
        for folder, config in ((tmp_path, "128"), (tiny_data, "64"))
    )
    np.testing.assert_array_equal(large["clip_id"], small["clip_id"])
    np.testing.assert_array_equal(large["level_dbfs"], small["level_dbfs"])


def test_facts_are_the_scalars_of_all_examples(tiny_data):
    builder = datasets.BUILDERS["crema_d_av"](data_dir=tiny_data, config="64")
    facts = read_facts(builder)
    assert {"face", "spectrogram", "landmarks"}.isdisjoint(facts)
    assert facts["split"].tolist() == [f"fold_{fold}" for fold in range(5) for _ in range(CLIPS // 5)]
    rows = [row for fold in range(5) for row in tfds.as_numpy(builder.as_dataset(split=f"fold_{fold}"))]
    for name, values in facts.items():
        if name != "split":
            expected = [row[name].decode() if isinstance(row[name], bytes) else row[name] for row in rows]
            np.testing.assert_array_equal(values, expected, err_msg=name)


def free_port():
    with socket.create_server(("localhost", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def pool(tmp_path):
    """Beam's options for workers that run in a folder of their own."""
    port, elsewhere = free_port(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    started = subprocess.Popen(command, cwd=elsewhere, env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)})
    while True:  # until it listens
        assert started.poll() is None
        with contextlib.suppress(ConnectionError), socket.create_connection(("localhost", port)):
            break
        time.sleep(0.2)
    yield f"runner=PortableRunner,job_endpoint=embed,environment_type=EXTERNAL,environment_config=localhost:{port}"
    started.terminate()
    started.wait()
    assert not [*elsewhere.iterdir()]


@pytest.mark.slow
def test_workers_elsewhere_find_what_is_named_relative_to_this_folder(
    tiny_corpora, built, tmp_path, pool, monkeypatch, capfd
):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "corpus").symlink_to(tiny_corpora / "crema_d")
    monkeypatch.chdir(tmp_path / "here")
    assert build(Path("corpus"), Path("data"), beam=pool, progress=True) == built
    assert len(kept_clips(tmp_path / "here" / "data")) == CLIPS
    shown = capfd.readouterr().err
    for what in ("decoding clips", "writing examples"):
        assert re.search(rf"{what}: 100%.* {CLIPS}/{CLIPS} ", shown)


def test_outcomes_that_workers_keep_for_themselves_are_named(tiny_corpora, tiny_data, tmp_path, monkeypatch):
    """As where each worker has a disk of its own under that path."""
    (tmp_path / "clips").symlink_to(tiny_data / "clips")
    monkeypatch.setattr(distributed._PrepareClip, "process", lambda self, numbered: iter(()))
    with pytest.raises(UserError, match=rf"{CLIPS} of {CLIPS} clips, such as 10\d\d_\w+, in {tmp_path}/clips"):
        build(tiny_corpora / "crema_d", tmp_path, beam="runner=DirectRunner")


def test_options_that_beam_does_not_know():
    with pytest.raises(UserError, match="Beam knows no direct_num_wrokers"):
        pipeline_options("runner=DirectRunner,direct_num_wrokers=2")


@pytest.mark.slow
def test_processes_change_no_byte(tiny_corpora, built, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MIN_ITEMS", 2)
    assert build(tiny_corpora / "crema_d", tmp_path, workers=2) == built


@pytest.mark.slow
@pytest.mark.parametrize("beam", ["runner=DirectRunner", TWO_PROCESSES])
def test_beam_changes_no_byte(tiny_corpora, built, tmp_path, beam):
    (corpus := tmp_path / "corpus").mkdir()
    for part in (tiny_corpora / "crema_d").iterdir():
        (corpus / part.name).symlink_to(part)
    assert build(corpus, tmp_path / "data", beam=beam) == built


def test_a_killed_build_resumes_where_it_stopped(tiny_corpora, built, tmp_path):
    corpus = tiny_corpora / "crema_d"
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
