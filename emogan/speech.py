"""Spectrograms of speech and back, for Python and notebooks: `spectrogram`, `waveform`, `samples_of`, `Recording`.

A front end of `emogan.audio`, which the builders and the server use too.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from emogan import audio
from emogan.config import SPECTROGRAMS, SpectrogramConfig
from emogan.errors import MediaError, UserError, check
from emogan.media.audio_streams import read_audio

Recording = str | Path | np.ndarray
"""Speech: an audio or video file of any format that FFmpeg reads; or mono samples, float [n] in [-1, 1]."""
MAX_SECONDS = 4 * 3600.0
"""Maximum length of a recording."""


def samples_of(recording: Recording, sample_rate: int, *, recorded_at: int | None = None) -> np.ndarray:
    """Returns the samples of a recording, float32 [n], mono, full scale [-1, 1].

    Args:
        recording: see `Recording`.
        sample_rate: samples per second of the result.
        recorded_at: samples per second of an array; by default `sample_rate`.

    Raises:
        UserError: if a file cannot be read or has no audio, or an array is invalid.
    """
    if isinstance(recording, str | Path):
        path = Path(recording)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); give an audio or video file") from error
        try:
            return read_audio(path, data, sample_rate, max_seconds=MAX_SECONDS)[0]
        except MediaError as error:
            raise UserError(f"{path} cannot be used ({error.detail}); give another audio or video file") from error
    samples = np.asarray(recording)
    check(
        samples.ndim == 1 and samples.dtype.kind == "f" and samples.size > 0,
        f"a recording is {samples.dtype} {list(samples.shape)}; it must be mono samples, float [n] in [-1, 1]",
    )
    check(bool(np.isfinite(samples).all()), "a recording has samples that are NaN or infinite; all must be finite")
    return audio.resample(samples.astype(np.float32), recorded_at or sample_rate, sample_rate)


def spectrogram(recording: Recording, size: int = 64, *, recorded_at: int | None = None) -> np.ndarray:
    """Computes the spectrogram of the middle 2.56 s of a recording, as in datasets; pads shorter ones with silence.

    Args:
        recording: see `Recording`.
        size: S, 64, 128 or 256.
        recorded_at: samples per second of an array; by default 16,000.

    Returns:
        float32 [S, S, 1] in [-1, 1]: frequency (row 0 is the lowest), time, 1.

    Raises:
        UserError: if the recording cannot be read, or the size is invalid.
    """
    config = _of_size(size)
    samples = samples_of(recording, config.sample_rate, recorded_at=recorded_at)
    return audio.spectrogram(tf.constant(audio.centre(samples, config.clip_samples)), config).numpy()


def waveform(spectrogram: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Inverts a spectrogram by the Griffin-Lim algorithm: float32 [40,960], 16,000 samples per second.

    Args:
        spectrogram: float [S, S, 1] in [-1, 1], as returned by `spectrogram`.
        seed: seed of the initial phases.

    Raises:
        UserError: if the shape is invalid.
    """
    config = _of_size(len(spectrogram))
    check(
        spectrogram.shape == (config.size, config.size, 1),
        f"spectrogram has shape {spectrogram.shape}; it must be [S, S, 1]",
    )
    return audio.waveform(tf.constant(spectrogram, tf.float32), config, seed=seed).numpy()


def _of_size(size: int) -> SpectrogramConfig:
    if size not in SPECTROGRAMS:
        raise UserError(f"size is {size}; it must be one of {', '.join(map(str, SPECTROGRAMS))}")
    return SPECTROGRAMS[size]
