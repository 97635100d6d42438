"""Builds end in the same bytes however they were done, and decode no clip twice."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from builds import CLIPS, build, kept_clips

import datasets
from datasets import workers
from datasets.facts import read_facts


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


@pytest.mark.slow
def test_processes_change_no_byte(tiny_corpora, built, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MIN_ITEMS", 2)
    assert build(tiny_corpora / "crema_d", tmp_path, workers=2) == built


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
