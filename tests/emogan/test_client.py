"""The client command with a stand-in for the server, by REST and gRPC."""

import hashlib

import numpy as np
import pytest
import soundfile
import stand_in
from skimage.io import imread

import emogan
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.generation import check_seeds


@pytest.fixture(scope="module")
def stem(photo):
    """Start of the names of a photograph's files."""
    return f"photo_{hashlib.sha256(photo.read_bytes()).hexdigest()[:8]}"


def saved(samples, folder):
    return list(dict.fromkeys(path for sample in samples for path in sample.save(folder)))


@pytest.fixture(scope="module")
def addresses(exported):
    with stand_in.StandIn(exported).running() as found:
        yield found


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_the_command_writes_the_same_files_as_a_local_model(
    run_command, addresses, exported, photo, stem, tmp_path, wire
):
    result = run_command(
        "emogan.client", f"--server={addresses[wire]}", f"--face={photo}", "--emotion=happy,sad", "--seed=3",
        "--draws=2", f"--output_dir={tmp_path / 'there'}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    here = saved(emogan.load(exported).generate(photo, ["happy", "sad"], seed=3, draws=2), tmp_path / "here")
    assert result.stdout.split() == [str(tmp_path / "there" / path.name) for path in here]
    assert [path.name for path in here] == [
        f"{stem}_face.png", f"{stem}_happy_3.png", f"{stem}_happy_3.wav", f"{stem}_sad_3.png", f"{stem}_sad_3.wav",
        f"{stem}_happy_4.png", f"{stem}_happy_4.wav", f"{stem}_sad_4.png", f"{stem}_sad_4.wav",
    ]  # fmt: skip
    np.testing.assert_array_equal(*(imread(tmp_path / side / f"{stem}_face.png") for side in ("here", "there")))
    for name in (f"{stem}_happy_3.wav", f"{stem}_sad_3.wav", f"{stem}_sad_4.wav"):
        sounds = [soundfile.read(tmp_path / side / name)[0] for side in ("here", "there")]
        np.testing.assert_allclose(*sounds, atol=1e-3)
        assert len(sounds[0]) == 40_960


def test_all_requests_all_emotions(exported, photo, stem, tmp_path):
    written = saved(emogan.load(exported).generate(photo, ["all"]), tmp_path)
    assert {path.stem for path in written} == {f"{stem}_face", *(f"{stem}_{emotion}_1" for emotion in EMOTIONS)}


def test_draws_have_the_next_seeds_and_differ(run_command, exported, photo, stem, tmp_path):
    result = run_command(
        "trainers.generate", f"--model={exported}", f"--face={photo}", "--emotion=sad", "--seed=4", "--draws=2",
        f"--output_dir={tmp_path / 'several'}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [line.split("/")[-1] for line in result.stdout.splitlines()] == [
        f"{stem}_face.png", f"{stem}_sad_4.png", f"{stem}_sad_4.wav", f"{stem}_sad_5.png", f"{stem}_sad_5.wav",
    ]  # fmt: skip
    saved(emogan.load(exported).generate(photo, "sad", seed=5), tmp_path / "alone")
    first, second = (soundfile.read(tmp_path / "several" / f"{stem}_sad_{seed}.wav")[0] for seed in (4, 5))
    alone, _ = soundfile.read(tmp_path / "alone" / f"{stem}_sad_5.wav")
    np.testing.assert_allclose(second, alone, atol=1e-3)
    assert np.abs(first - alone).max() > 1e-2


def test_an_unknown_emotion_is_refused(exported, photo, tmp_path):
    with pytest.raises(UserError, match=r"bored.*anger, disgust, fear"):
        emogan.load(exported).generate(photo, ["happy", "bored"])


@pytest.mark.parametrize(("seed", "draws", "message"), [(1, 0, "draws is 0"), (2**63 - 1, 2, "seed is 9,223,372")])
def test_invalid_draws_are_refused(exported, photo, seed, draws, message):
    with pytest.raises(UserError, match=message):
        emogan.load(exported).generate(photo, ["happy"], seed=seed, draws=draws)


def test_all_int64_are_seeds():
    check_seeds(2**63 - 2, 2)
    check_seeds(-(2**63), 2)


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_the_command_recognises(run_command, addresses, exported, tmp_path, rng, wire):
    soundfile.write(tmp_path / "speech.wav", rng.uniform(-0.3, 0.3, 48_000), 16_000)
    result = run_command("emogan.client", f"--server={addresses[wire]}", f"--recognise={tmp_path / 'speech.wav'}")
    assert result.returncode == 0, result.stderr
    found = emogan.load_recogniser(exported).predict_proba(tmp_path / "speech.wav")
    assert f"{found['anger']:.2f}" in result.stdout
    assert "acted" in result.stdout


@pytest.mark.parametrize("given", [[], ["--face=a.png"], ["--recognise=a.wav", "--face=a.png"]])
def test_either_generation_or_recognition_is_requested(run_command, given):
    result = run_command("emogan.client", "--server=http://127.0.0.1:9", *given)
    assert (result.returncode, "--recognise alone" in result.stderr) == (2, True)


def test_a_missing_server_is_one_line(run_command, photo, tmp_path):
    result = run_command(
        "emogan.client", "--server=http://127.0.0.1:9", f"--face={photo}", "--emotion=sad", f"--output_dir={tmp_path}",
        "--timeout=0.5",
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: http://127.0.0.1:9 is not ready")
    assert "Traceback" not in result.stderr
