"""emogan.audio compared with librosa, soundfile and values computed by hand."""

import dataclasses
import io
import struct

import librosa
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from emogan import audio
from emogan.config import SIZES, SPECTROGRAMS, SpectrogramConfig
from emogan.errors import UserError

RATE = 16_000
CLIP_SAMPLES = 40_960


def sine(frequency: float, rate: int = RATE, samples: int = CLIP_SAMPLES, amplitude: float = 1.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency / rate * np.arange(samples))).astype(np.float32)


def voice(seed: int = 0) -> np.ndarray:
    """Speech-like audio: a gliding harmonic source through three formants, in syllables, with faint noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(CLIP_SAMPLES) / RATE
    pitch = 140 + 30 * np.sin(2 * np.pi * (0.7 * t + rng.uniform()))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(CLIP_SAMPLES)
    for harmonic in range(1, 40):
        frequency = harmonic * pitch
        gain = sum(np.exp(-(((frequency - f) / 150) ** 2)) for f in (600, 1300, 2600)) + 0.03
        sound += gain / harmonic * np.sin(harmonic * phase)
    sound *= np.clip(np.sin(2 * np.pi * 2.5 * t), 0, None)
    return (0.2 * sound + 1e-3 * rng.standard_normal(CLIP_SAMPLES)).astype(np.float32)


def decibels(image: tf.Tensor, config: SpectrogramConfig) -> np.ndarray:
    return (np.asarray(image)[..., 0] + 1) / 2 * (config.ceiling_db - config.floor_db) + config.floor_db


# --- spectrogram


@pytest.mark.parametrize("size", SIZES)
def test_spectrogram_is_librosas(size):
    config, sound = SPECTROGRAMS[size], voice()
    options = {"n_fft": config.window_samples, "hop_length": config.hop_samples, "window": "hann", "center": False}
    padded = np.pad(sound, (config.window_samples - config.hop_samples) // 2)
    if size == 256:
        power = np.abs(librosa.stft(padded, **options))[:256] ** 2
    else:
        power = librosa.feature.melspectrogram(y=padded, sr=RATE, n_mels=size, norm=None, fmax=8000, **options)
    expected = librosa.power_to_db(power, ref=(config.window_samples / 4) ** 2, amin=1e-12, top_db=None)
    image = audio.spectrogram(sound, config)
    assert image.shape == (size, size, 1)
    assert image.dtype == tf.float32
    np.testing.assert_allclose(decibels(image, config), expected.clip(-110, -10), atol=0.02)


def test_full_scale_sine_is_0_db():
    """Hann window: a sine at bin k has level 1 there, half (-6.02 dB) at bins k - 1 and k + 1, and 0 elsewhere."""
    config = dataclasses.replace(SPECTROGRAMS[256], ceiling_db=10.0)
    level = decibels(audio.spectrogram(sine(1000), config), config)[:, 2:-2]  # bins are 31.25 Hz apart: bin 32
    np.testing.assert_allclose(level[32], 0, atol=1e-3)
    np.testing.assert_allclose(level[[31, 33]], 20 * np.log10(0.5), atol=1e-3)
    np.testing.assert_allclose(level[:30], -110, atol=1e-3)
    np.testing.assert_allclose(level[35:], -110, atol=1e-3)


def test_mel_band_of_a_sine():
    """64 triangles of height 1 between 66 points, equidistant on Slaney's scale: 15 + 27 ln(f / 1000) / ln 6.4 above 1 kHz."""
    config = dataclasses.replace(SPECTROGRAMS[64], ceiling_db=10.0)
    step = (15 + 27 * np.log(8) / np.log(6.4)) / 65
    low, high = 1000 * np.exp((np.array([36, 37]) * step - 15) * np.log(6.4) / 27)  # the peaks of bands 35 and 36
    bins = np.array([262, 263, 264]) * 16_000 / 2048
    assert low < bins[0] < bins[2] < high
    rising = (bins - low) / (high - low)
    power = np.array([1 - rising, rising]) @ [0.25, 1, 0.25]
    level = decibels(audio.spectrogram(sine(bins[1]), config), config)[35:37, 3:-3]
    np.testing.assert_allclose(level, np.tile(10 * np.log10(power)[:, None], 58), atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("per_clip_maximum", [False, True])
def test_silence_is_exactly_the_floor(size, per_clip_maximum):
    config = dataclasses.replace(SPECTROGRAMS[size], per_clip_maximum=per_clip_maximum)
    np.testing.assert_array_equal(audio.spectrogram(tf.zeros([CLIP_SAMPLES]), config), -np.ones([size, size, 1]))


def test_ceiling_clips():
    image = audio.spectrogram(sine(1000), SPECTROGRAMS[256]).numpy()
    np.testing.assert_array_equal(image[32, 2:-2], 1)
    assert image.max() == 1


def test_loudness_is_kept_by_default():
    """20 dB are 0.4 of the range of 2 for 100 dB."""
    loud, soft = (audio.spectrogram(gain * voice(), SPECTROGRAMS[128]).numpy() for gain in (1, 0.1))
    seen = soft > -1
    np.testing.assert_allclose((loud - soft)[seen], 0.4, atol=1e-3)


def test_per_clip_maximum_removes_the_loudness_of_each_clip():
    config = dataclasses.replace(SPECTROGRAMS[128], per_clip_maximum=True)
    loud, soft = audio.spectrogram(np.stack([0.5 * voice(), 0.005 * voice()]), config).numpy()
    assert loud.max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(soft, loud, atol=1e-4)


def test_spectrogram_takes_any_leading_dimensions():
    clips = np.stack([voice(seed) for seed in range(6)])
    together = audio.spectrogram(clips.reshape(2, 3, -1), SPECTROGRAMS[64])
    assert together.shape == (2, 3, 64, 64, 1)
    for index, clip in enumerate(clips):
        single = audio.spectrogram(clip, SPECTROGRAMS[64])
        np.testing.assert_allclose(together[index // 3, index % 3], single, atol=1e-4)


# --- waveform


def griffin_lim(magnitude: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    """librosa's audio for `magnitude` [bins, frames], 32 iterations."""
    options = {"n_fft": config.window_samples, "hop_length": config.hop_samples, "center": False}
    sound = librosa.griffinlim(magnitude.astype(np.float32), n_iter=32, random_state=0, **options)
    return sound[config.pad_samples : -config.pad_samples]


def test_griffin_lim_converges_like_librosas():
    config = SPECTROGRAMS[256]
    image = audio.spectrogram(voice(), config)
    magnitude = np.pad(10 ** (decibels(image, config) / 20) * 128, [(0, 1), (0, 0)])

    def spectral_convergence(sound: np.ndarray) -> float:
        spectrum = librosa.stft(np.pad(sound, 176), n_fft=512, hop_length=160, center=False)
        return np.linalg.norm(np.abs(spectrum) - magnitude) / np.linalg.norm(magnitude)

    ours = spectral_convergence(audio.waveform(image, config, iterations=32))
    assert ours < 1.1 * spectral_convergence(griffin_lim(magnitude, config))
    assert ours < 0.1


@pytest.mark.parametrize("size", SIZES)
def test_the_spectrogram_of_a_waveform_is_the_image(size):
    config = SPECTROGRAMS[size]
    image = audio.spectrogram(voice(), config)
    restored = audio.spectrogram(audio.waveform(image, config), config)
    error_db = np.abs(decibels(restored, config) - decibels(image, config))
    assert error_db.mean() < 1.5
    assert error_db[decibels(image, config) > -60].mean() < 1.0


def test_mel_inversion_beats_the_clipped_pseudo_inverse():
    config = SPECTROGRAMS[64]
    image = audio.spectrogram(voice(), config)
    filters = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=64, norm=None)
    power = np.maximum(np.linalg.pinv(filters) @ 10 ** (decibels(image, config) / 10), 0)
    reference = griffin_lim(np.sqrt(power) * 512, config)
    errors = [
        np.abs(audio.spectrogram(sound, config) - image).mean() for sound in (audio.waveform(image, config), reference)
    ]
    assert errors[0] < errors[1]


def test_waveform_depends_only_on_image_and_seed():
    config = SPECTROGRAMS[128]
    images = audio.spectrogram(np.stack([voice(1), voice(2), voice(3)]), config)
    together = audio.waveform(images[tf.newaxis], config, iterations=8)
    assert together.shape == (1, 3, CLIP_SAMPLES)
    alone = audio.waveform(images[1], config, iterations=8)
    np.testing.assert_allclose(together[0, 1], alone, atol=1e-3)
    np.testing.assert_array_equal(audio.waveform(images[1], config, iterations=8), alone)
    assert np.abs(audio.waveform(images[1], config, iterations=8, seed=1) - alone).max() > 0.01


def test_traced_and_saved_equal_eager(tmp_path):
    config = SPECTROGRAMS[64]

    class Vocoder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, CLIP_SAMPLES], tf.float32)])
        def draw(self, sound):
            return audio.spectrogram(sound, config)

        @tf.function(input_signature=[tf.TensorSpec([None, 64, 64, 1], tf.float32)])
        def play(self, image):
            return audio.waveform(image, config, iterations=4)

    tf.saved_model.save(Vocoder(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    sound = tf.constant(voice()[np.newaxis])
    image = audio.spectrogram.python_function(sound, config)
    np.testing.assert_allclose(loaded.draw(sound), image, atol=1e-4)
    eager = audio.waveform.python_function(image, config, iterations=4)
    np.testing.assert_allclose(loaded.play(image), eager, atol=1e-3)


# --- samples


def test_centre():
    sound = np.arange(1, 8, dtype=np.float32)
    np.testing.assert_array_equal(audio.centre(sound, 7), sound)
    np.testing.assert_array_equal(audio.centre(sound, 3), [3, 4, 5])
    np.testing.assert_array_equal(audio.centre(sound, 4), [2, 3, 4, 5])  # 1 before, 2 after
    np.testing.assert_array_equal(audio.centre(sound, 9), [0, *sound, 0])
    np.testing.assert_array_equal(audio.centre(sound, 10), [0, *sound, 0, 0])
    np.testing.assert_array_equal(audio.centre(sound[:0], 3), [0, 0, 0])
    assert audio.centre(sound, 10).dtype == np.float32


def test_level_dbfs():
    assert audio.level_dbfs(sine(1000)) == pytest.approx(0, abs=1e-4)
    assert audio.level_dbfs(sine(1000, amplitude=0.1)) == pytest.approx(-20, abs=1e-4)
    assert audio.level_dbfs(np.ones(10, np.float32)) == pytest.approx(10 * np.log10(2))
    assert audio.level_dbfs(np.zeros(10, np.float32)) == pytest.approx(audio.SILENCE_DBFS)
    assert audio.level_dbfs(np.zeros(0, np.float32)) == pytest.approx(audio.SILENCE_DBFS)


@pytest.mark.parametrize("rate_in", [48_000, 44_100, 22_050, 8_000])
def test_resample_keeps_the_pass_band(rate_in):
    for frequency in (100, 1000, 3000, 6500):
        if frequency < 0.42 * rate_in:
            result = audio.resample(sine(frequency, rate_in, rate_in), rate_in, RATE)
            assert result.shape == (RATE,)
            assert audio.level_dbfs(result[1000:-1000]) == pytest.approx(0, abs=0.1), frequency


@pytest.mark.parametrize("rate_in", [48_000, 44_100])
def test_resample_suppresses_aliases(rate_in):
    for frequency in (8_100, 9_000, 12_000, 20_000):
        result = audio.resample(sine(frequency, rate_in, rate_in), rate_in, RATE)
        assert audio.level_dbfs(result[1000:-1000]) < -60, frequency


@pytest.mark.parametrize("rate_in", [48_000, 44_100, 8_000])
def test_resample_is_soxrs_and_in_place(rate_in):
    """Below 3 kHz the difference is less than the 0.07 samples of rounding the delay to whole samples, up to both ends."""
    knots = np.random.default_rng(1).standard_normal(3001)
    sound = np.interp(np.arange(rate_in // 2) / rate_in * 500, np.arange(3001), knots).astype(np.float32)
    ours = audio.resample(sound, rate_in, RATE)
    soxr = librosa.resample(sound, orig_sr=rate_in, target_sr=RATE, res_type="soxr_hq")
    assert ours.shape == soxr.shape
    np.testing.assert_allclose(ours[20:-20], soxr[20:-20], atol=0.03)
    assert np.argmax(audio.resample(np.eye(1, 4800, 4790, dtype=np.float32)[0], 48_000, RATE)) == 1597


def test_resample_rates():
    sound = sine(440)
    assert audio.resample(sound, RATE, RATE) is sound
    with pytest.raises(UserError, match="0 to 16000 Hz"):
        audio.resample(sound, 0, RATE)


# --- read_wav


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_read_wav_is_soundfiles_mean_of_channels(subtype, kind):
    stereo = np.random.default_rng(0).uniform(-1, 1, (2001, 2))
    data = wav(stereo, subtype=subtype, kind=kind)
    result = audio.read_wav(data, RATE)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, soundfile.read(io.BytesIO(data))[0].mean(axis=1), atol=1e-7)


def test_read_wav_resamples():
    result = audio.read_wav(wav(sine(1000, 48_000, 48_000, 0.5), 48_000), RATE)
    assert result.shape == (RATE,)
    np.testing.assert_allclose(result[100:-100], sine(1000, samples=RATE, amplitude=0.5)[100:-100], atol=1e-3)


def test_read_wav_stays_in_range():
    assert np.abs(audio.read_wav(wav(np.sign(sine(440, 48_000)), 48_000), RATE)).max() == 1
    np.testing.assert_array_equal(audio.read_wav(wav(np.array([3.0, -0.5]), subtype="FLOAT"), RATE), [1, -0.5])


def test_read_wav_ignores_other_chunks():
    samples = np.array([0, 16384, -32768], np.int16).tobytes()
    note, cue = chunk(b"LIST", b"INFOISFT\x05\0\0\0abcde\0"), chunk(b"JUNK", b"odd")
    for data in (
        riff(fmt(), note, chunk(b"data", samples)),
        riff(cue, fmt(), chunk(b"data", samples), note),
        riff(fmt(), chunk(b"data", samples)) + b"trailing",
    ):
        np.testing.assert_array_equal(audio.read_wav(data, RATE), [0, 0.5, -1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a WAV file: 0 bytes"),
        (b"FileName,VoiceVote\n", "not a WAV file: 19 bytes .* b'FileName,Voi'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (wav(sine(440))[:1000], "80964 of 81920 bytes"),
        (wav(sine(440))[:40], "no complete fmt chunk"),
        (riff(chunk(b"data", b"\0\0")), "no complete fmt chunk"),
        (riff(fmt(), chunk(b"data", b"")), "no samples"),
        (riff(fmt(tag=3, bits=32), chunk(b"data", np.array([np.nan], "<f4").tobytes())), "NaN"),
        (riff(fmt(tag=3, bits=64), chunk(b"data", bytes(8))), "format 3, 64 bits"),
        (riff(fmt(tag=2, bits=4), chunk(b"data", bytes(8))), "format 2, 4 bits"),
        (riff(fmt(channels=0), chunk(b"data", bytes(8))), "0 channels"),
        (riff(fmt(rate=0), chunk(b"data", bytes(8))), "from 0 to 16000 Hz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_wav_file_raises_one_message(data, message):
    with pytest.raises(UserError, match=message) as caught:
        audio.read_wav(data, RATE)
    assert "\n" not in str(caught.value)
    assert "node" not in str(caught.value)
