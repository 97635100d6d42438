"""Emotions in recordings: arrays, files and folders, short and long; with a local model and a server."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import stand_in
import tensorflow as tf

import emogan
from emogan import audio
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.serving import signatures

RATE, CLIP = 16_000, 40_960


@pytest.fixture(scope="module")
def model(exported):
    return emogan.load_recogniser(exported)


@pytest.fixture
def speech(rng):
    """Noise of the given length, whose level changes every second."""

    def make(seconds):
        level = np.repeat(rng.uniform(0.01, 0.5, int(np.ceil(seconds))), RATE)[: int(seconds * RATE)]
        return (level * rng.uniform(-1, 1, len(level))).astype(np.float32)

    return make


def of_window(exported, samples):
    image = audio.spectrogram(tf.constant(samples[np.newaxis]), emogan.load(exported).settings.media.spectrogram)
    return signatures.LocalModel(exported).predict("classify", {"spectrogram": image.numpy()})["emotion_probabilities"][
        0
    ]


@pytest.mark.parametrize("seconds", [1, 2.56, 4, 5])
def test_the_middle_of_a_short_recording_is_recognised(model, exported, speech, seconds):
    samples = speech(seconds)
    found = model.predict_proba(samples)
    assert list(found.index) == list(EMOTIONS)
    np.testing.assert_allclose(found, of_window(exported, audio.centre(samples, CLIP)), atol=1e-5)
    assert model.predict(samples) == EMOTIONS[int(np.argmax(found))]


def test_the_prediction_for_a_long_recording_is_the_mean_of_its_windows(model, exported, speech):
    samples = speech(8)
    windows = model.windows(samples, hop_seconds=1)
    starts = [0, 1, 2, 3, 4, 5, 8 - CLIP / RATE]
    np.testing.assert_allclose(windows["start"], starts)
    np.testing.assert_allclose(windows["end"] - windows["start"], CLIP / RATE)
    expected = [of_window(exported, samples[round(s * RATE) :][:CLIP]) for s in starts]
    np.testing.assert_allclose(windows[list(EMOTIONS)], expected, atol=1e-5)
    np.testing.assert_allclose(model.predict_proba(samples), model.windows(samples)[list(EMOTIONS)].mean(), atol=1e-5)


def test_a_recording_that_is_shorter_than_a_window_has_one(model, speech):
    windows = model.windows(speech(1))
    assert windows[["start", "end"]].to_numpy().tolist() == [[0, 1]]


def test_files_and_folders_and_arrays_at_another_rate(model, speech, tmp_path):
    samples = speech(3)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "in" / "b.flac", samples, RATE)
    (tmp_path / "notes.txt").write_text("no recording")
    found = model.predict_proba(tmp_path)
    assert list(found.index) == [str(tmp_path / "a.wav"), str(tmp_path / "in" / "b.flac")]
    one = model.predict_proba(str(tmp_path / "a.wav"))
    assert isinstance(one, pd.Series)
    np.testing.assert_allclose(found.iloc[0], one, atol=1e-6)
    np.testing.assert_allclose(found.iloc[1], one, atol=1e-2)  # 16 bits
    several = model.predict([samples, tmp_path / "a.wav"])
    assert list(several.index) == [0, str(tmp_path / "a.wav")]
    slower = model.predict_proba(audio.resample(samples, RATE, 48_000), recorded_at=48_000)
    np.testing.assert_allclose(slower, one, atol=0.05)


def test_a_server_gives_the_same_as_a_local_model(model, exported, speech):
    samples = speech(9)
    with stand_in.StandIn(exported).running() as addresses:
        for address in addresses.values():
            there = emogan.load_recogniser(address)
            pd.testing.assert_frame_equal(there.windows(samples), model.windows(samples), atol=1e-5)


def test_about_has_training_data_and_accuracy(model):
    text = model.about()
    for part in ("crema_d_av/64", "synthetic", "24 speakers", "50%", "45% to 55%", "12 unseen speakers", "17%"):
        assert part in text


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (np.zeros(0, np.float32), r"float32 \[0\]"),
        (np.zeros((2, 100), np.float32), r"\[2, 100\]"),
        (np.zeros(100, np.int16), "int16"),
        (np.full(100, np.nan), "NaN"),
        ("nowhere.wav", "nowhere.wav"),
        ([], "no recording"),
    ],
)
def test_an_invalid_recording_is_refused(model, recording, message):
    with pytest.raises(UserError, match=message):
        model.predict_proba(recording)


def test_files_without_audio_and_empty_folders_are_refused(model, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"a\.wav cannot be used"):
        model.predict(tmp_path / "a.wav")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=rf"{tmp_path}/empty"):
        model.predict(tmp_path / "empty")


def test_a_model_without_a_recogniser_is_refused(exported):
    with pytest.raises(UserError, match="no recogniser"):
        emogan.load_recogniser(exported / "9")
