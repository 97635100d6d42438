"""Sound to spectrogram image and back, the same code in the builders, the notebooks and the server.

Public names: read_wav, wav_head, plain_wav, resample, centre, level_dbfs (NumPy, a clip); spectrogram, waveform (TensorFlow
graph, batches).
"""

import functools
import struct

import librosa
import numpy as np
import tensorflow as tf
import tensorflow_io as tfio

from emogan.config import SpectrogramConfig
from emogan.errors import UserError

SILENCE_DBFS = -120.0
"""The level that `level_dbfs` gives to silence, and to anything fainter."""

_MOMENTUM = 0.99  # of the fast Griffin-Lim algorithm; librosa's default too
_MEL_UPDATES = 10  # multiplicative updates that invert the mel bands; the error is within 0.2 dB on speech after 5
_EXTENSIBLE = 0xFFFE  # the WAV format tag whose real tag opens the sub-format's GUID
_WAV_KINDS = {  # (format tag, bits) -> the dtype tensorflow-io wants, its zero, its full scale
    (1, 8): (tf.uint8, 2**7, 2**7),
    (1, 16): (tf.int16, 0, 2**15),
    (1, 24): (tf.int32, 0, 2**31),  # the 24 bits come as the upper ones
    (1, 32): (tf.float32, 0, 2**31),  # tensorflow-io takes every 32-bit sample for a float; `_decode` puts that right
    (3, 32): (tf.float32, 0, 1),
}
_PLACEHOLDERS = range(0x7FFF0000, 2**32)  # sizes that nobody has put right: 2 or 4 GiB, or a little less
_HEAD_BYTES = 128  # of a usual head at most: a file that lacks more is cut off
_RATES = range(1_000, 768_001)  # Hz; what lies outside is a damaged header


def read_wav(data: bytes, sample_rate: int) -> np.ndarray:
    """Decodes a WAV file with tensorflow-io, averages its channels and resamples it.

    Args:
        data: the whole file: integers of 8, 16, 24 or 32 bits or floats of 32 bits, of any rate and number of channels.
        sample_rate: wanted samples per second.

    Returns:
        Mono float32 [n] in [-1, 1].

    Raises:
        UserError: `data` is no WAV file of these kinds, is cut short, or holds no sound.
    """
    chunks = _riff_chunks(data)
    tag, channels, rate, frame_bytes, bits = _wav_format(chunks)
    if (tag, bits) not in _WAV_KINDS or channels == 0 or frame_bytes != channels * bits // 8:
        raise UserError(
            f"a WAV file of format {tag} with {bits} bits, {channels} channels and {frame_bytes} bytes a frame is not "
            "supported; convert it to 16-bit PCM"
        )
    samples = _decode(chunks, tag, bits)
    if not samples.size or not np.isfinite(samples).all():
        raise UserError("the WAV file holds no samples, or samples that are not numbers; fetch or convert it again")
    return np.clip(resample(samples, rate, sample_rate), -1, 1)


def wav_head(data: bytes) -> tuple[int, int, bool]:
    """Reads the head of a WAV file and decodes nothing.

    Returns:
        The number of samples of each channel, where they are not compressed; how many are a second: any number; and whether
        `read_wav` reads that kind and may: of more than two channels the mean is not the sound.

    Raises:
        UserError: `data` is no WAV file, or is cut short.
    """
    chunks = _riff_chunks(data)
    tag, channels, rate, frame_bytes, bits = _wav_format(chunks)
    usual = (tag, bits) in _WAV_KINDS and channels in (1, 2) and frame_bytes == channels * bits // 8
    return len(chunks[b"data"]) // max(frame_bytes, 1), rate, usual


def plain_wav(data: bytes) -> bytes:
    """The format and the samples of a WAV file alone, with their true sizes, as a WAV file. Raises UserError as `wav_head`."""
    return _plain(_riff_chunks(data))


def _wav_format(chunks: dict[bytes, memoryview]) -> tuple[int, int, int, int, int]:
    """Format tag, channels, samples per second, bytes of a frame of all channels, bits of a sample."""
    tag, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if tag == _EXTENSIBLE:
        (tag,) = struct.unpack_from("<H", bytes(chunks[b"fmt "]).ljust(26, b"\0"), 24)
    return tag, channels, rate, frame_bytes, bits


def _plain(chunks: dict[bytes, memoryview]) -> bytes:
    sizes = {name: struct.pack("<I", len(chunks[name])) for name in (b"fmt ", b"data")}
    body = [part for name, size in sizes.items() for part in (name, size, chunks[name])]
    return b"".join([b"RIFF", struct.pack("<I", 4 + sum(map(len, body))), b"WAVE", *body])


def _decode(chunks: dict[bytes, memoryview], tag: int, bits: int) -> np.ndarray:
    """The mean of the channels as float32 [n] in [-1, 1]."""
    dtype, zero, full_scale = _WAV_KINDS[tag, bits]
    try:
        # The decoder fails on chunks behind the samples and finds no samples behind some others: it gets just these two.
        raw = tfio.audio.decode_wav(_plain(chunks), dtype=dtype).numpy()
    except tf.errors.OpError as error:
        raise UserError("a damaged WAV file: its samples cannot be decoded; fetch or convert it again") from error
    if (tag, bits) == (1, 32):
        raw = raw.view(np.int32)
    mean = raw.mean(axis=1, dtype=np.float64)
    mean -= zero
    mean /= full_scale
    return mean.astype(np.float32)


def _riff_chunks(data: bytes) -> dict[bytes, memoryview]:
    """The chunks of a WAV file by name, `fmt ` and `data` among them; else UserError.

    What cannot go back to a file's head, as a pipe or a browser, leaves sizes of 0 there, or of 2 or 4 GiB: the samples then go
    on to the end. Others count the head too, so that a few bytes seem to be missing. RIFF's own size is not needed.
    """
    if data.startswith(b"version https://git-lfs"):
        raise UserError("a Git LFS pointer instead of a WAV file; run `git lfs pull` in the corpus's clone")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise UserError(
            f"not a WAV file: {len(data)} bytes that begin {data[:12]!r}, not RIFF....WAVE; convert it to WAV"
        )
    chunks: dict[bytes, memoryview] = {}
    position = 12
    while position + 8 <= len(data) and b"data" not in chunks:
        name, size = struct.unpack_from("<4sI", data, position)
        rest = len(data) - position - 8
        if name == b"data" and (
            size == 0 or size in _PLACEHOLDERS or 0 < size - rest <= min(position + 8, _HEAD_BYTES)
        ):
            size = rest - rest % (int.from_bytes(chunks.get(b"fmt ", b"")[12:14], "little") or 1)  # whole frames
        chunks[name] = memoryview(data)[position + 8 : position + 8 + size]
        if len(chunks[name]) < size:
            missing = size - len(chunks[name])
            raise UserError(f"a WAV file cut short: its chunk {name!r} lacks {missing} of {size} bytes; fetch it again")
        position += 8 + size + size % 2
    if b"data" not in chunks or len(chunks.get(b"fmt ", b"")) < 16:
        raise UserError("a WAV file cut short: it has no complete fmt chunk followed by a data chunk; fetch it again")
    return chunks


def resample(samples: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Changes the sample rate with tensorflow-io's resampler (Speex, whose quality cannot be chosen).

    Its delay is taken out, so that the sound stays in place to within half a sample. Measured from 48 and 44.1 to
    16 kHz: the level is kept within 0.03 dB to 6.8 kHz (0.85 of the lower Nyquist frequency), falls by 0.4 dB at 7 kHz
    and by 11 dB at 7.5 kHz, and what lies above 8.05 kHz comes back below -80 dB.

    Args:
        samples: float32 [n].
        rate_in: samples per second of `samples`.
        rate_out: wanted samples per second.

    Returns:
        float32 [ceil(n * rate_out / rate_in)]; `samples` itself if the rates are equal.

    Raises:
        UserError: a rate lies outside 1 kHz to 768 kHz.
    """
    if rate_in not in _RATES or rate_out not in _RATES:
        raise UserError(f"cannot resample from {rate_in} to {rate_out} Hz; rates must lie between 1 kHz and 768 kHz")
    if rate_in == rate_out:
        return samples
    delay = _resampler_delay(rate_in, rate_out)
    length = -(-len(samples) * rate_out // rate_in)
    tail = -(-(delay + 1) * rate_in // rate_out)  # silence that pushes the last samples out of the filter
    return _resample(np.pad(samples, (0, tail))[None, :, None], rate_in, rate_out).numpy()[0, delay : delay + length, 0]


@tf.function(
    input_signature=[tf.TensorSpec([1, None, 1]), tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64)],
)
def _resample(samples: tf.Tensor, rate_in: tf.Tensor, rate_out: tf.Tensor) -> tf.Tensor:
    return tfio.audio.resample(samples, rate_in, rate_out)  # traced once: its eager form is traced anew at each call


@functools.cache
def _resampler_delay(rate_in: int, rate_out: int) -> int:
    """Samples of output by which the resampler is late, read off an impulse one second into a silence of two."""
    impulse = np.zeros([1, 2 * rate_in, 1], np.float32)
    impulse[0, rate_in] = 1
    return int(np.argmax(_resample(impulse, rate_in, rate_out)[0, :, 0])) - rate_out


def centre(samples: np.ndarray, clip_samples: int) -> np.ndarray:
    """The window of `clip_samples` around the middle of `samples` [n]; a shorter sound gets silence on both sides.

    Where the halves are unequal, the cut or the silence is one sample longer at the end. Keeps the dtype.
    """
    start = abs(len(samples) - clip_samples) // 2
    if len(samples) >= clip_samples:
        return samples[start : start + clip_samples]
    return np.pad(samples, (start, clip_samples - len(samples) - start))


def level_dbfs(samples: np.ndarray) -> float:
    """RMS level of `samples` [n] in dB against a full-scale sine: amplitude 1 is 0 dB; silence is `SILENCE_DBFS`."""
    power = 2 * np.mean(np.square(samples, dtype=np.float64)) if len(samples) else 0.0
    return float(10 * np.log10(max(power, 10 ** (SILENCE_DBFS / 10))))


@tf.function
def spectrogram(waveform: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """Draws sound as an image: decibels against a full-scale sine, of which `floor_db`..`ceiling_db` become [-1, 1].

    Args:
        waveform: float32 or float64 [..., config.clip_samples] in [-1, 1].
        config: the settings.

    Returns:
        [..., S, S, 1] of the same dtype: frequency (row 0 the lowest), time, 1. Silence is exactly -1.
    """
    power = tf.square(tf.abs(_stft(waveform, config))) / _full_scale(config) ** 2
    if config.mel_bands is None:
        power = power[..., : config.size]
    else:
        power = tf.matmul(power, tf.cast(_mel_filters(config), power.dtype), transpose_b=True)
    if config.per_clip_maximum:
        loudest = tf.reduce_max(power, axis=[-2, -1], keepdims=True)
        power = tf.math.divide_no_nan(power, loudest) * 10 ** (config.ceiling_db / 10)
    above_floor_db = 10 / np.log(10) * tf.math.log(tf.maximum(power / 10 ** (config.floor_db / 10), 1))
    image = 2 / (config.ceiling_db - config.floor_db) * above_floor_db - 1
    return tf.linalg.matrix_transpose(tf.minimum(image, 1))[..., tf.newaxis]


@tf.function
def waveform(spectrogram: tf.Tensor, config: SpectrogramConfig, iterations: int = 32, seed: int = 0) -> tf.Tensor:
    """Inverts `spectrogram`: mel bands to bins, then phases by the fast Griffin-Lim algorithm (Perraudin et al. 2013).

    Each clip starts from the same random phases, so its sound depends on its image and the seed, not on its batch.

    Args:
        spectrogram: float32 [..., S, S, 1] in [-1, 1], as `spectrogram` draws it.
        config: the settings it was drawn with. What `per_clip_maximum` took away is not restored.
        iterations: rounds of Griffin-Lim; more come closer.
        seed: of the initial phases.

    Returns:
        float32 [..., config.clip_samples].
    """
    image = tf.linalg.matrix_transpose(tf.squeeze(spectrogram, -1))
    decibels = (image + 1) / 2 * (config.ceiling_db - config.floor_db) + config.floor_db
    power = tf.pow(10.0, decibels / 10)
    bins = config.window_samples // 2 + 1
    if config.mel_bands is None:
        power = tf.pad(power, [[0, 0]] * (len(power.shape) - 1) + [[0, bins - config.size]])
    else:
        power = _invert_mel(power, config)
    magnitude = tf.cast(tf.sqrt(power) * _full_scale(config), tf.complex64)
    turns = tf.random.stateless_uniform([config.size, bins], seed=[seed, 0], maxval=2 * np.pi)
    phases = tf.broadcast_to(tf.exp(tf.complex(0.0, turns)), tf.shape(magnitude))

    def improve(phases: tf.Tensor, previous: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rebuilt = _stft(_inverse_stft(magnitude * phases, config), config)
        ahead = rebuilt - _MOMENTUM / (1 + _MOMENTUM) * previous
        return tf.math.divide_no_nan(ahead, tf.cast(tf.abs(ahead), tf.complex64)), rebuilt

    phases, _ = tf.while_loop(
        lambda *_: True, improve, (phases, tf.zeros_like(magnitude)), maximum_iterations=iterations
    )
    return _inverse_stft(magnitude * phases, config)


def _stft(waveform: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """complex64 [..., S frames, bins] of a sound [..., clip_samples] with its zeros on each side."""
    ends = [[0, 0]] * (len(waveform.shape) - 1) + [[config.pad_samples, config.pad_samples]]
    return tf.signal.stft(tf.pad(waveform, ends), config.window_samples, config.hop_samples)  # a periodic Hann window


def _inverse_stft(spectrum: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """The sound [..., clip_samples] whose `_stft` is nearest to `spectrum` (Griffin and Lim 1984, Eq. 6)."""
    window = tf.signal.hann_window(config.window_samples)
    frames = tf.signal.irfft(spectrum) * window
    overlap = tf.signal.overlap_and_add(tf.repeat(tf.square(window)[tf.newaxis], config.size, 0), config.hop_samples)
    inside = slice(config.pad_samples, config.pad_samples + config.clip_samples)
    return tf.signal.overlap_and_add(frames, config.hop_samples)[..., inside] / overlap[inside]


def _full_scale(config: SpectrogramConfig) -> float:
    """Magnitude that a sine of amplitude 1 has at its bin: half the sum of the periodic Hann window, which is N / 2."""
    return config.window_samples / 4


@functools.cache
def _mel_filters(config: SpectrogramConfig) -> np.ndarray:
    """float32 [bands, bins]: triangles of height 1 on Slaney's mel scale, 0 to half the sample rate."""
    return librosa.filters.mel(sr=config.sample_rate, n_fft=config.window_samples, n_mels=config.mel_bands, norm=None)


def _invert_mel(bands: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """Non-negative powers of the bins [..., bins] whose mel bands are `bands` [..., bands].

    The multiplicative updates for the Kullback-Leibler divergence (Lee and Seung 2001, Eq. 5). Unlike a pseudo-inverse
    clipped at zero they do not lose the faint bands beside loud ones: 0.1-0.2 dB instead of 0.2-0.7 dB on speech.
    """
    filters = _mel_filters(config)
    share = np.divide(filters, filters.sum(0), out=np.zeros_like(filters), where=filters.sum(0) > 0)
    bins = tf.matmul(bands / filters.sum(1), share)
    for _ in range(_MEL_UPDATES):
        bins *= tf.matmul(tf.math.divide_no_nan(bands, tf.matmul(bins, filters, transpose_b=True)), share)
    return bins
