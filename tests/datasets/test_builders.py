"""Builds by TFDS's own commands, and of the same corpus in folders and archives."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import datasets
from datasets.synthetic import make_corpus

FOLDER = Path(datasets.__file__).parent
BROKEN = {"crema_d_av": "*/1037*", "ravdess_av": "Actor_04/*-05-*", "voxceleb_av": "dev/mp4/*/*/00002.mp4"}
"""Faulty clips of the dummy data."""


def sound_corpus(dataset, root) -> Path:
    """Copies the dummy data without its faulty clips."""
    shutil.copytree(FOLDER / dataset / "dummy_data", root)
    for path in root.glob(BROKEN.get(dataset, "none")):
        path.unlink()
    return root


def build(dataset, config, corpus, data_dir, **settings):
    builder = datasets.BUILDERS[dataset](data_dir=data_dir, config=config, **settings)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=corpus))
    return {
        example["clip_id"].decode(): example
        for example in tfds.as_numpy(tfds.load(f"{dataset}/{config}", data_dir=data_dir, split="all"))
    }, builder.info


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "config", "splits"),
    [
        ("crema_d_av", "64", {"fold_0": 2, "fold_1": 1}),
        ("folder_av", "64", {"fold_0": 2, "fold_1": 1, "fold_2": 1}),
        ("ravdess_av", "64_eight", {"fold_0": 2, "fold_1": 1, "fold_2": 1}),
        ("voxceleb_av", "64", {"train": 2, "test": 1}),
        ("voxceleb_av", "64_vox1", {"train": 2, "test": 1}),
    ],
)
def test_tfds_build_in_the_builders_folder(dataset, config, splits, tmp_path):
    corpus = sound_corpus(dataset, tmp_path / "corpus")
    command = [Path(sys.executable).with_name("tfds"), "build", f"--config={config}", f"--data_dir={tmp_path / 'tfds'}"]
    result = subprocess.run(
        [*command, f"--manual_dir={corpus}"], capture_output=True, text=True, cwd=FOLDER / dataset, check=False
    )
    assert result.returncode == 0, result.stderr
    info = tfds.builder(f"{dataset}/{config}", data_dir=tmp_path / "tfds").info
    assert {name: split.num_examples for name, split in info.splits.items()} == splits
    assert info.metadata["synthetic"] is True


def test_features_of_crema_d_after_tfds_load(tmp_path):
    examples, _ = build("crema_d_av", "64", sound_corpus("crema_d_av", tmp_path / "corpus"), tmp_path)
    example = examples["1001_IEO_ANG_LO"]  # in the tables: N,37.31,A:S,33.07:39.98,A,44.67 and 35,Male
    found = {name: example[name].decode() for name in ("voice_vote", "face_vote", "multimodal_vote", "actor_sex")}
    assert found == {
        "voice_vote": "neutral", "face_vote": "anger:sad", "multimodal_vote": "anger", "actor_sex": "male"
    }  # fmt: skip
    levels = [float(example[f"{name}_level"]) for name in ("voice", "face", "multimodal")]
    assert levels == pytest.approx([37.31, 36.525, 44.67], abs=1e-5)
    assert example["actor_age"] == 35


def test_features_of_voxceleb1_after_tfds_load(tmp_path):
    examples, _ = build("voxceleb_av", "64_vox1", FOLDER / "voxceleb_av" / "dummy_data", tmp_path)
    found = {clip_id[:7]: (e["pairing"].decode(), e["speaker_gender"].decode()) for clip_id, e in examples.items()}
    assert found == {"id10001": ("frame_list", "male"), "id10002": ("middle_crop", "female")}


def test_archives_give_the_same_examples_as_folders_and_a_truncated_archive_loses_only_its_own(tmp_path):
    settings = {"speakers": 3, "clips_per_speaker": 1, "frame_size": (128, 128), "seconds": (0.6, 0.8), "workers": 1}
    for name, zipped in (("folders", False), ("zips", True)):
        make_corpus(tmp_path / name, "ravdess", zipped=zipped, **settings)
    expected, _ = build("ravdess_av", "64_eight", tmp_path / "folders", tmp_path / "tfds_1")
    found, _ = build("ravdess_av", "64_eight", tmp_path / "zips", tmp_path / "tfds_2")
    assert len(expected) == 3
    assert found.keys() == expected.keys()
    for clip_id, example in expected.items():
        for feature, value in example.items():
            np.testing.assert_array_equal(found[clip_id][feature], value, err_msg=f"{clip_id} {feature}")

    archive = tmp_path / "zips" / "Video_Speech_Actor_04.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    fewer, info = build("ravdess_av", "64_eight", tmp_path / "zips", tmp_path / "tfds_3", max_rejects=0.4)
    assert fewer.keys() == {clip_id for clip_id in expected if not clip_id.endswith("04")}
    (row,) = info.metadata["rejected"]
    assert (row["path"], row["reason"]) == (archive.name, "not_a_zip")
    assert "download it again" in row["detail"]
