"""`trainers.prepare` on the builders' dummy data, and on damaged copies of it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from absl import flags
from absl.testing import flagsaver

import datasets
from datasets.facts import read_facts
from emogan.config import MediaConfig, from_json
from emogan.errors import UserError
from trainers import prepare

FOLDER = Path(datasets.__file__).parent
CREMA_D = FOLDER / "crema_d_av" / "dummy_data"
NAMES = ("1001_IEO_ANG_LO", "1001_IEO_DIS_MD", "1019_MTI_FEA_XX")


def run(**settings):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["prepare", "--dataset=crema_d_av", "--manual_dir=.", "--data_dir=."])
    with flagsaver.flagsaver(
        **{key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    ):
        prepare.main([])


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Three sound clips."""
    root = tmp_path / "corpora" / "CREMA-D"
    shutil.copytree(CREMA_D, root)
    for path in [*root.glob("*/1037*")]:
        path.unlink()
    return root


def test_build_then_find_it_built(corpus, tmp_path, capsys):
    data_dir = tmp_path / "tfds"
    settings = {
        "dataset": "crema_d_av",
        "manual_dir": corpus.parent,
        "data_dir": data_dir,
    }  # the folder above serves too
    run(**settings)
    output = capsys.readouterr().out
    counts = "clips     3 = 3 examples + 0 rejected + 0 left out\n"
    assert f"{counts}  examples  3 (fold_0 2, fold_1 1)\n  rejected  0\n  left out  0\n  not read  0\n" in output
    assert "of a synthetic corpus" in output
    assert "  classes   anger, disgust, fear, happy, neutral, sad\n" in output
    assert re.search(r"(?m)^  to train  3 folds .* 2;", output)

    dataset, info = tfds.load("crema_d_av/64", data_dir=data_dir, split="all", with_info=True)
    found = {example["clip_id"].decode(): int(example["label"]) for example in tfds.as_numpy(dataset)}
    assert found == {"1001_IEO_ANG_LO": 0, "1001_IEO_DIS_MD": 1, "1019_MTI_FEA_XX": 2}
    assert from_json(MediaConfig, info.metadata["media"]) == MediaConfig.of_size(64)
    assert info.metadata["synthetic"] is True

    version = data_dir / info.full_name
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in version.iterdir()}
    run(**{**settings, "manual_dir": tmp_path / "gone"})  # nothing is read again
    again = capsys.readouterr().out
    assert "already exists" in again
    assert "happy, neutral, sad" in output
    assert again.splitlines()[1:] == output[output.index(f"{info.full_name} in") :].splitlines()
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in version.iterdir()} == before

    with pytest.raises(UserError, match=str(tmp_path / "gone")):
        run(**{**settings, "manual_dir": tmp_path / "gone", "overwrite": True})
    assert version.is_dir()  # a wrong folder costs nothing
    (corpus / "VideoFlash" / "1019_MTI_FEA_XX.flv").unlink()
    run(**settings, overwrite=True, max_rejects=0.5)
    assert "examples  2 (fold_0 2)" in capsys.readouterr().out  # a fold without clips is no split

    metadata = json.loads((version / "metadata.json").read_text())
    metadata["media"] = metadata["media"].replace("-110.0", "-100.0")
    (version / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(UserError, match=f"{version.parent}.* --overwrite"):
        run(**settings)


def test_a_damaged_archive_is_reported_for_a_clip_in_it(tmp_path, capsys):
    (tmp_path / "a.zip").write_text("no archive")
    run(inspect=tmp_path / "a.zip" / "1.mp4", output=tmp_path / "a.png")
    assert "1.mp4: rejected: not_a_zip: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inspect": "gone.mp4"}, "--inspect=gone.mp4: "),
        ({"inspect": CREMA_D / "AudioWAV", "audio": "gone.wav"}, "--audio=gone.wav: "),
        ({"inspect": "face.png"}, "--inspect=face.png .* --audio"),
    ],
)
def test_a_clip_that_cannot_be_inspected_is_reported_and_not_drawn(settings, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("face.png").touch()
    with pytest.raises(UserError, match=message):
        run(**settings)
    assert [path.name for path in tmp_path.iterdir()] == ["face.png"]


def test_rejections_are_listed_everywhere(corpus, tmp_path, capsys):
    (corpus / "VideoFlash" / "1001_IEO_ANG_LO.flv").write_text("404 not found\n" * 10)
    holidays = [f"VideoFlash/holiday_{number}.mp4" for number in range(10)]
    for name in reversed(holidays):
        (corpus / name).write_bytes(b"")
    (corpus / "AudioWAV" / "1019_MTI_FEA_XX.wav").unlink()
    (corpus / "VideoFlash" / "._1001_IEO_DIS_MD.flv").write_bytes(b"macOS")
    (corpus / "VideoFlash" / "readme.txt").write_text("not media by its name\n")
    (corpus / "AudioMP3").mkdir()
    (corpus / "AudioMP3" / "1001_IEO_DIS_MD.mp3").touch()
    run(dataset="crema_d_av", manual_dir=corpus, data_dir=tmp_path, max_rejects=0.95)
    output = capsys.readouterr().out
    listed_in = tmp_path / "crema_d_av" / "64" / "rejections.csv"
    assert "clips     13 = 1 examples + 12 rejected + 0 left out\n  examples  1 (fold_0 1)\n  rejected  12 (" in output
    assert "    VideoFlash/holiday_7.mp4: bad_name: " in output
    assert "    AudioWAV/1019_MTI_FEA_XX.wav: missing_sound_file: " in output
    assert "holiday_8" not in output
    assert f"    and 2 more, listed in {listed_in}\n" in output
    assert "  not read  1 (1 AudioMP3)\n" in output

    with listed_in.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["reason"]) for row in rows] == [
        ("AudioWAV/1019_MTI_FEA_XX.wav", "missing_sound_file"),
        ("VideoFlash/1001_IEO_ANG_LO.flv", "not_media"),
        *((name, "bad_name") for name in holidays),
    ]
    metadata = tfds.builder("crema_d_av/64", data_dir=tmp_path).info.metadata
    assert metadata["rejected"] == rows
    assert metadata["rejections"] == {"bad_name": 10, "not_media": 1, "missing_sound_file": 1}
    assert (metadata["clips"], metadata["examples"], metadata["not_read"]) == (13, 1, {"AudioMP3": 1})


def test_names_of_any_script_and_any_bytes(tmp_path, capsys):
    """In the examples, the list of rejections, the audit and the inspection of one clip."""
    root, data_dir = tmp_path / "corpus", tmp_path / "tfds"
    decomposed = unicodedata.normalize("NFD", "Glück/José")
    good = ["高兴/José/Übung.mp4", "高兴/$x^{/1.mp4", f"{decomposed}/2.mp4", "खुशी/Ζωή/3.mp4"]
    latin = [os.fsdecode(name) for name in (b"calm/M\xfcller/1.mp4", b"calm/ann/\xe9t\xe9.mp4")]
    for name in (*good, *latin):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / "folder_av" / "dummy_data" / "clips" / "calm" / "ann" / "2.mp4", root / name)
    run(dataset="folder_av", manual_dir=root, data_dir=data_dir, max_rejects=0.5)
    output = capsys.readouterr().out
    assert "classes   Glück, खुशी, 高兴\n" in output
    assert "    calm/M\\xfcller/1.mp4: bad_name: " in output

    facts = read_facts(tfds.builder("folder_av/64", data_dir=data_dir))
    assert set(facts["clip_id"]) == {"高兴/José/Übung", "高兴/$x^{/1", "Glück/José/2", "खुशी/Ζωή/3"}
    assert set(facts["speaker_id"]) == {"José", "$x^{", "Ζωή"}  # José once, in whichever form a folder has the name
    config_dir = data_dir / "folder_av" / "64"
    with (config_dir / "rejections.csv").open(newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["calm/M\\xfcller/1.mp4", "calm/ann/\\xe9t\\xe9.mp4"]
    assert "calm/ann/\\xe9t\\xe9.mp4" in (config_dir / "audit.html").read_text(encoding="utf-8")
    assert json.loads((config_dir / "audit.json").read_text())["speakers"]["Ζωή"]["खुशी"] == 1

    run(inspect=root / latin[1], output=tmp_path / "a.png")
    assert "\\xe9t\\xe9.mp4: frame " in capsys.readouterr().out


def test_another_folder_of_ones_own_is_not_there_already(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        shutil.copytree(FOLDER / "folder_av" / "dummy_data", folder)
    video = second / "clips" / "sad" / "bob" / "1.mp4"
    video.write_bytes(video.read_bytes() + bytes(8))  # of the same name, as in any folder of trials
    settings = {"dataset": "folder_av", "data_dir": tmp_path / "tfds"}
    run(**settings, manual_dir=first)
    for same in (first, tmp_path / "gone"):
        run(**settings, manual_dir=same)
        assert "already exists" in capsys.readouterr().out
    with pytest.raises(UserError, match=rf"{second} .*--data_dir .*--overwrite"):
        run(**settings, manual_dir=second)


def test_a_real_corpus_is_not_the_synthetic_one_that_is_there(corpus, tmp_path, capsys):
    real = tmp_path / "real" / "CREMA-D"
    shutil.copytree(corpus, real, ignore=shutil.ignore_patterns("README.txt"))
    settings = {"dataset": "crema_d_av", "data_dir": tmp_path / "tfds"}
    run(**settings, manual_dir=corpus)
    with pytest.raises(UserError, match=rf"{real} .*--data_dir .*--overwrite"):
        run(**settings, manual_dir=real)
    run(**settings, manual_dir=real.parent, overwrite=True)
    run(**settings, manual_dir=real)
    assert "already exists" in capsys.readouterr().out
    with pytest.raises(UserError, match=rf"{corpus} .*--data_dir .*--overwrite"):
        run(**settings, manual_dir=corpus)


@pytest.mark.parametrize("dataset", ["crema_d_av", "voxceleb_av"])
def test_another_part_of_a_corpus_is_not_there_already(tmp_path, capsys, dataset):
    """One has labels, the other none."""
    folder = shutil.copytree(FOLDER / dataset / "dummy_data", tmp_path / "corpus")
    settings = {"dataset": dataset, "data_dir": tmp_path / "tfds", "manual_dir": folder, "max_rejects": 0.5}
    run(**settings)
    moved = tmp_path / "moved"
    folder.rename(moved)
    for same in (moved, folder, tmp_path):  # in another place, gone, or with nothing of that name
        run(**{**settings, "manual_dir": same})
        assert "already exists" in capsys.readouterr().out
    next(moved.glob("**/*.flv" if dataset == "crema_d_av" else "dev/**/*.mp4")).unlink()
    with pytest.raises(UserError, match=rf"{moved} .*--data_dir .*--overwrite"):
        run(**{**settings, "manual_dir": moved})


def test_the_least_width_of_a_face_is_a_setting_and_kept(corpus, tmp_path, capsys):
    """The faces are 56, 55 and 42 pixels wide."""
    settings = {"dataset": "crema_d_av", "manual_dir": corpus, "data_dir": tmp_path}
    run(**settings, min_face_width=50.0, max_rejects=0.5)
    assert "    VideoFlash/1019_MTI_FEA_XX.flv: small_face: " in capsys.readouterr().out
    metadata = tfds.builder("crema_d_av/64", data_dir=tmp_path).info.metadata
    assert from_json(MediaConfig, metadata["media"]).face.min_width == 50
    assert metadata["examples"] == 2
    with pytest.raises(UserError, match="--overwrite"):
        run(**settings)
    run(inspect=corpus / "VideoFlash" / "1019_MTI_FEA_XX.flv", output=tmp_path / "a.png", min_face_width=50.0,
        sound=corpus / "AudioWAV" / "1019_MTI_FEA_XX.wav")  # fmt: skip
    assert "rejected: small_face" in capsys.readouterr().out


def test_too_many_rejections_leave_no_dataset(corpus, tmp_path):
    (corpus / "VideoFlash" / "1001_IEO_ANG_LO.flv").write_bytes(b"")
    with pytest.raises(UserError, match=r"1 of 3 clips .*30.0%.*\n  VideoFlash/1001_IEO_ANG"):
        run(dataset="crema_d_av", manual_dir=corpus, data_dir=tmp_path / "tfds", max_rejects=0.3)
    assert [path.name for path in (tmp_path / "tfds" / "crema_d_av" / "64").iterdir()] == ["rejections.csv"]


def test_a_clone_without_git_lfs(tmp_path):
    for folder, suffix in (("VideoFlash", "flv"), ("AudioWAV", "wav")):
        (tmp_path / folder).mkdir()
        for actor in range(1001, 1091):
            pointer = tmp_path / folder / f"{actor}_DFA_ANG_XX.{suffix}"
            pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(UserError, match=rf"21 of 90 clips.*21 git_lfs_pointer(.|\n)*git lfs pull(.|\n)*{tmp_path}"):
        run(dataset="crema_d_av", manual_dir=tmp_path, data_dir=tmp_path / "tfds")


@pytest.mark.parametrize("dataset", ["crema_d_av", "folder_av", "ravdess_av", "voxceleb_av"])
def test_a_folder_without_the_corpus_shows_the_layout(dataset, tmp_path):
    layout = {
        "crema_d_av": "AudioWAV/1001_DFA_ANG_XX.wav",
        "folder_av": "happy/ann/anything.mp4",
        "ravdess_av": "Actor_01/01-01",
        "voxceleb_av": "dev/mp4/id00012",
    }
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "gone"):
        with pytest.raises(UserError) as caught:
            run(dataset=dataset, manual_dir=folder, data_dir=tmp_path / "tfds")
        assert str(folder) in str(caught.value)
        assert layout[dataset] in str(caught.value)
    assert not (tmp_path / "tfds").exists()


def test_the_command_itself(corpus, tmp_path):
    """A user's mistake is one message on stderr and exit code 2."""
    command = [sys.executable, "-m", "trainers.prepare", "--dataset=crema_d_av", f"--data_dir={tmp_path / 'tfds'}"]
    done = subprocess.run(
        [*command, f"--manual_dir={tmp_path / 'gone'}"], capture_output=True, text=True, cwd=FOLDER.parent, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'gone'} ")
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [*command, f"--manual_dir={corpus}"], capture_output=True, text=True, cwd=FOLDER.parent, check=True
    )
    assert "examples  3 (fold_0 2, fold_1 1)" in done.stdout
    assert "3/3" in done.stderr  # the progress bar knows the total
