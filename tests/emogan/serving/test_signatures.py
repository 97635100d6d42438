import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from emogan import audio
from emogan.config import from_json
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.serving import signatures


@pytest.fixture(scope="module")
def served(exported):
    return signatures.LocalModel(exported).signatures


@pytest.fixture
def request_of_three(rng):
    images = rng.integers(0, 255, (3, 64, 64, 3), np.uint8)
    return images, {
        "aligned_face_bytes": tf.stack([tf.io.encode_png(image) for image in images]),
        "emotion": tf.constant(["happy", "sad", "anger"]),
        "seed": tf.constant([4, 4, -1], tf.int64),
    }


def test_the_signature_gives_what_the_network_gives(generator, exported, settings, request_of_three):
    images, request = request_of_three
    served = signatures.LocalModel(exported)
    assert served.settings == settings
    answer = served.signatures["serving_default"](**request)
    noise = [tf.random.stateless_uniform([settings.model.noise_dim], [seed, 0], -1.0, 1.0) for seed in (4, 4, -1)]
    condition = np.eye(6, dtype=np.float32)[[EMOTIONS.index(e) for e in ("happy", "sad", "anger")]]
    expected = generator([images.astype(np.float32) / 127.5 - 1, condition, tf.stack(noise)])
    np.testing.assert_allclose(answer["spectrogram"], expected, atol=1e-5)
    assert list(answer["error"].numpy()) == [b"", b"", b""]


def test_a_row_does_not_depend_on_its_neighbours(exported, request_of_three):
    served = signatures.LocalModel(exported)
    together = served.signatures["serving_default"](**request_of_three[1])["spectrogram"]
    alone = served.signatures["serving_default"](**{k: v[1:2] for k, v in request_of_three[1].items()})["spectrogram"]
    np.testing.assert_allclose(alone[0], together[1], atol=1e-5)


def test_an_unknown_emotion_is_an_error_of_its_row_only(exported, request_of_three):
    served = signatures.LocalModel(exported)
    request = request_of_three[1] | {"emotion": tf.constant(["happy", "bored", "anger"])}
    answer = served.signatures["serving_default"](**request)
    assert answer["error"][1].numpy().startswith(b"unknown emotion bored")
    assert list(answer["error"].numpy()[[0, 2]]) == [b"", b""]
    np.testing.assert_array_equal(answer["spectrogram"][1], np.full((64, 64, 1), -1))
    assert np.std(answer["spectrogram"][0]) > 0


def png(height=64, width=64):
    return tf.io.encode_png(np.full((height, width, 3), 120, np.uint8)).numpy()


def test_unreadable_images_are_errors_of_their_rows_only(served):
    jpeg = tf.io.encode_jpeg(np.full((80, 64, 3), 120, np.uint8)).numpy()
    rows = [
        png(),
        jpeg,
        b"",
        b"a text",
        png()[:60],
        jpeg[:200],
        b"GIF89a",
        b"\x89PNG",
        png()[:16] + b"\0" * 8 + png()[24:],
    ]
    answer = served["serving_default"](
        aligned_face_bytes=tf.constant(rows),
        emotion=tf.constant(["sad"] * len(rows)),
        seed=tf.range(len(rows), dtype=tf.int64),
    )
    errors, spread = answer["error"].numpy(), np.std(answer["spectrogram"], (1, 2, 3))
    assert list(errors[:2]) == [b"", b""]
    assert all(error.startswith(b"aligned_face_bytes ") for error in errors[2:])
    np.testing.assert_array_equal(spread > 0, [True] * 2 + [False] * 7)


def test_an_image_that_is_too_large_is_not_decoded(served):
    declared = bytearray(png())
    declared[16:24] = (5000).to_bytes(4, "big") * 2
    rows = [bytes(declared), png() + b"\0" * signatures.MAX_BYTES, png(100, 200)]
    answer = served["serving_default"](
        aligned_face_bytes=tf.constant(rows), emotion=tf.constant(["sad"] * 3), seed=tf.constant([1] * 3, tf.int64)
    )
    assert [b"16,777,216 pixels" in error for error in answer["error"].numpy()] == [True, True, False]


def test_probabilities_of_one_emotion_give_what_its_name_gives(served):
    given = {"aligned_face_bytes": tf.constant([png()] * 4), "seed": tf.constant([5] * 4, tf.int64)}
    named = served["serving_default"](**given, emotion=tf.constant(["happy"] * 4))["spectrogram"][0]
    rows = [np.eye(6)[EMOTIONS.index("happy")], [1 / 6] * 6, [np.nan] * 6, [1, 0, 0, 0, 0.5, -0.5]]
    answer = served["probabilities"](**given, emotion_probabilities=tf.constant(rows, tf.float32))
    np.testing.assert_allclose(answer["spectrogram"][0], named, atol=1e-5)
    assert np.abs(answer["spectrogram"][1] - named).max() > 1e-3
    assert [error[:21] for error in answer["error"].numpy()] == [b"", b"", *[b"emotion_probabilities"] * 2]


def test_the_audio_is_that_of_the_spectrogram_as_a_wav_file(served, settings, request_of_three):
    request = request_of_three[1] | {"emotion": tf.constant(["happy", "bored", "anger"])}
    spectrograms = served["serving_default"](**request)["spectrogram"]
    answer = served["audio"](**request)
    assert [error[:7] for error in answer["error"].numpy()] == [b"", b"unknown", b""]
    audio_settings = settings.media.spectrogram
    expected = audio.waveform(spectrograms, audio_settings).numpy()
    for row, data in enumerate(answer["wav_bytes"].numpy()):
        sound = audio.read_wav(data, audio_settings.sample_rate)
        np.testing.assert_allclose(sound, np.clip(expected[row], -1, 1), atol=1e-3)
    assert np.abs(audio.read_wav(answer["wav_bytes"].numpy()[1], audio_settings.sample_rate)).max() < 1e-3  # silence


def test_the_settings_are_part_of_the_model(served, settings):
    found = served["settings"](row=tf.zeros([2], tf.int64))["settings"].numpy()
    assert [from_json(signatures.ServedSettings, text.decode()) for text in found] == [settings, settings]


def test_every_signature_has_the_documented_outputs(served):
    assert {name: set(signature.structured_outputs) for name, signature in served.items()} == {
        name: set(outputs) for name, outputs in signatures.OUTPUTS.items()
    }


def test_tensors_and_classify_are_the_networks_themselves(served, generator, classifier, settings, rng):
    face = rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    condition = np.eye(6, dtype=np.float32)[:2]
    noise = rng.uniform(-1, 1, (2, settings.model.noise_dim)).astype(np.float32)
    made = served["tensors"](face=tf.constant(face), condition=tf.constant(condition), noise=tf.constant(noise))
    np.testing.assert_allclose(made["spectrogram"], generator([face, condition, noise]), atol=1e-5)
    found = served["classify"](spectrogram=made["spectrogram"])["emotion_probabilities"]
    np.testing.assert_allclose(found, tf.nn.softmax(classifier(made["spectrogram"])), atol=1e-5)


def test_a_model_without_a_classifier_lacks_its_signatures(exported):
    assert not {"classify", "recognise"} & set(signatures.LocalModel(exported / "9").signatures)


def test_audio_is_recognised_like_its_spectrogram(served, settings, rng):
    samples = rng.uniform(-0.3, 0.3, (3, settings.media.spectrogram.clip_samples)).astype(np.float32)
    samples[1, :100], samples[2] = np.nan, 0
    silent = np.where(np.isnan(samples), 0, samples)
    found = served["recognise"](samples=tf.constant(samples))["emotion_probabilities"]
    images = audio.spectrogram(tf.constant(silent), settings.media.spectrogram)
    np.testing.assert_allclose(found, served["classify"](spectrogram=images)["emotion_probabilities"], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_a_model_without_a_generator_recognises(exported):
    served = signatures.LocalModel(exported / "8")
    assert set(served.signatures) == {"classify", "recognise", "settings"}
    assert not served.settings.generates


def test_the_newest_version_is_taken_by_number(exported, tmp_path):
    (tmp_path / "9").symlink_to(exported / "9")
    (tmp_path / "10").mkdir()
    assert signatures.versions(tmp_path) == [9, 10]
    with pytest.raises(UserError, match="no exported model"):  # 10 is empty
        signatures.LocalModel(tmp_path)
    signatures.LocalModel(tmp_path / "9")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"trainers\.export"):
        signatures.LocalModel(tmp_path)
    with pytest.raises(UserError, match="no exported model"):
        signatures.LocalModel(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "file",
    [
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
        "saved_model.pb",
        "assets.extra/emogan.json",
        "assets.extra/provenance.json",
    ],
)
def test_a_damaged_model_is_refused(exported, tmp_path, file):
    shutil.copytree(exported / "10", tmp_path / "10")
    (tmp_path / "10" / "assets.extra" / "provenance.json").write_text("{}\n")
    damaged = tmp_path / "10" / file
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"{tmp_path / '10'} is damaged"):
        signatures.LocalModel(tmp_path)


def test_tensorflows_own_tool_knows_the_signatures_and_calls_one(exported, inputs_of, tmp_path):
    inputs = inputs_of("tensors")
    for name, values in inputs.items():
        np.save(tmp_path / f"{name}.npy", values)
    tool = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    model = ["--dir", exported / "10", "--tag_set", "serve"]
    shown = subprocess.run([*tool, "show", *model], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r'SignatureDef key: "(\w+)"', shown)) >= set(signatures.OUTPUTS)
    given = ";".join(f"{name}={tmp_path / name}.npy" for name in inputs)
    asked = ["--signature_def", "tensors", "--inputs", given, "--outdir", tmp_path]
    subprocess.run([*tool, "run", *model, *asked], capture_output=True, check=True)
    expected = signatures.LocalModel(exported).predict("tensors", inputs)["spectrogram"]
    np.testing.assert_allclose(np.load(tmp_path / "spectrogram.npy"), expected, atol=1e-5)
