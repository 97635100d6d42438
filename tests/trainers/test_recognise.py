"""`trainers.recognise` on the folder of a run."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from skimage.io import imread

import emogan
from emogan.emotions import EMOTIONS


@pytest.fixture
def recordings(tmp_path, rng):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name, seconds in (("long", 9), ("short", 3)):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.3, 0.3, seconds * 16_000), 16_000)
    return folder


def test_a_folder_becomes_a_table(run_command, tiny_run, recordings, tmp_path):
    table = tmp_path / "table.csv"
    result = run_command("trainers.recognise", f"--run_dir={tiny_run}", f"--csv={table}", str(recordings))
    assert result.returncode == 0, result.stderr
    found = pd.read_csv(table, index_col="recording")
    expected = emogan.load_recogniser(tiny_run).predict_proba(recordings)
    assert list(found.index) == [str(recordings / "long.wav"), str(recordings / "short.wav")]
    np.testing.assert_allclose(found[list(EMOTIONS)], expected, atol=1e-5)
    assert list(found["emotion"]) == list(expected.idxmax(axis=1))
    for name in ("long.wav", "short.wav", "crema_d_av", *EMOTIONS):
        assert name in result.stdout


def test_windows_have_times_and_a_plot(run_command, tiny_run, recordings, tmp_path):
    result = run_command(
        "trainers.recognise", f"--run_dir={tiny_run}", "--windows", "--hop_seconds=2", f"--csv={tmp_path / 'w.csv'}",
        f"--plot={tmp_path / 'w.png'}", str(recordings / "long.wav"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert pd.read_csv(tmp_path / "w.csv")["start"].tolist() == pytest.approx([0, 2, 4, 6, 9 - 2.56])
    assert imread(tmp_path / "w.png").std() > 10


def test_an_unreadable_recording_is_reported_and_the_others_are_recognised(run_command, tiny_run, recordings):
    (recordings / "broken.mp3").write_bytes(b"nothing")
    result = run_command("trainers.recognise", f"--run_dir={tiny_run}", str(recordings))
    assert result.returncode == 2
    assert "short.wav" in result.stdout
    assert "broken.mp3" in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "recording"), (["--plot=a.png", "a.wav", "b.wav"], "--plot")],
)
def test_an_invalid_request_is_refused(run_command, tiny_run, given, message):
    result = run_command("trainers.recognise", f"--run_dir={tiny_run}", *given)
    assert (result.returncode, message in result.stderr) == (2, True)
