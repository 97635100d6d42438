"""Speech as spectrograms and back, for Python and notebooks: `spectrogram`, `waveform`, `samples_of`, `Recording`.

The same code as the builders' and the server's, `emogan.audio`, of which this is the front.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from emogan import audio
from emogan.config import SPECTROGRAMS, SpectrogramConfig
from emogan.errors import MediaError, UserError, check
from emogan.media.audio_streams import read_audio

Recording = str | Path | np.ndarray
"""Speech: a file of sound or video of any format that FFmpeg reads; or mono samples, float [n] in [-1, 1]."""
MAX_SECONDS = 4 * 3600.0
"""Of a recording."""


def samples_of(recording: Recording, sample_rate: int, *, recorded_at: int | None = None) -> np.ndarray:
    """The samples of a recording, float32 [n], mono, full scale [-1, 1].

    Args:
        recording: see `Recording`.
        sample_rate: wanted samples per second.
        recorded_at: of an array; by default it has the wanted ones.

    Raises:
        UserError: where a file cannot be read or has no sound, or an array is not of that kind.
    """
    if isinstance(recording, str | Path):
        path = Path(recording)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); give a file of sound or video") from error
        try:
            return read_audio(path, data, sample_rate, max_seconds=MAX_SECONDS)[0]
        except MediaError as error:
            raise UserError(f"{path} cannot be used ({error.detail}); give another file of sound or video") from error
    given = np.asarray(recording)
    check(
        given.ndim == 1 and given.dtype.kind == "f" and given.size > 0,
        f"a recording is {given.dtype} {list(given.shape)}; it must be mono samples, float [n] in [-1, 1]",
    )
    check(bool(np.isfinite(given).all()), "a recording holds values that are not numbers; look where it comes from")
    return audio.resample(given.astype(np.float32), recorded_at or sample_rate, sample_rate)


def spectrogram(recording: Recording, size: int = 64, *, recorded_at: int | None = None) -> np.ndarray:
    """The spectrogram of the middle 2.56 s of a recording, as datasets have it; a shorter one gets silence on both sides.

    Args:
        recording: see `Recording`.
        size: S: 64, 128 or 256.
        recorded_at: samples per second of an array; by default 16,000.

    Returns:
        float32 [S, S, 1] in [-1, 1]: frequency (row 0 the lowest), time, 1.

    Raises:
        UserError: where the recording cannot be read, or there is no such size.
    """
    config = _of_size(size)
    samples = samples_of(recording, config.sample_rate, recorded_at=recorded_at)
    return audio.spectrogram(tf.constant(audio.centre(samples, config.clip_samples)), config).numpy()


def waveform(spectrogram: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The sound of a spectrogram, float [S, S, 1] in [-1, 1], by Griffin-Lim: float32 [40,960], 16,000 samples per second.

    Args:
        spectrogram: as `spectrogram` gives it.
        seed: of the phases that it begins with.

    Raises:
        UserError: for another shape.
    """
    config = _of_size(len(spectrogram))
    check(
        spectrogram.shape == (config.size, config.size, 1),
        f"a spectrogram has the shape {spectrogram.shape}, not [S, S, 1]",
    )
    return audio.waveform(tf.constant(spectrogram, tf.float32), config, seed=seed).numpy()


def _of_size(size: int) -> SpectrogramConfig:
    if size not in SPECTROGRAMS:
        raise UserError(f"size is {size}; it must be one of {', '.join(map(str, SPECTROGRAMS))}")
    return SPECTROGRAMS[size]
