"""Audio to spectrogram images and back; the builders, the notebooks and the server use this code.

Public names: read_wav, wav_head, plain_wav, resample, centre, level_dbfs (NumPy, single clips); spectrogram, waveform
(TensorFlow graph, batches).
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
"""Lower limit of `level_dbfs`, and its value for silence, dB."""

_MOMENTUM = 0.99  # of the fast Griffin-Lim algorithm; librosa's default
_MEL_UPDATES = 10  # multiplicative updates that invert the mel bands; on speech the error is below 0.2 dB after 5
_EXTENSIBLE = 0xFFFE  # format tag of WAV files whose actual tag is at the start of the sub-format's GUID
_WAV_KINDS = {  # (format tag, bits) -> dtype for tensorflow-io, value of zero, full scale
    (1, 8): (tf.uint8, 2**7, 2**7),
    (1, 16): (tf.int16, 0, 2**15),
    (1, 24): (tf.int32, 0, 2**31),  # the upper 24 bits
    (1, 32): (tf.float32, 0, 2**31),  # tensorflow-io decodes all 32-bit samples as floats; `_decode` corrects this
    (3, 32): (tf.float32, 0, 1),
}
_PLACEHOLDERS = range(0x7FFF0000, 2**32)  # sizes written by streaming encoders: 2 or 4 GiB, or slightly less
_HEADER_BYTES = 128  # maximum size of a usual header; if more bytes are missing, the file is truncated
_RATES = range(1_000, 768_001)  # Hz; other values mean a damaged header


def read_wav(data: bytes, sample_rate: int) -> np.ndarray:
    """Decodes a WAV file with tensorflow-io, averages its channels and resamples it.

    Args:
        data: the whole file: integers of 8, 16, 24 or 32 bits or floats of 32 bits, any rate and number of channels.
        sample_rate: samples per second of the result.

    Returns:
        Mono float32 [n] in [-1, 1].

    Raises:
        UserError: if `data` is not a WAV file of these formats, is truncated, or has no samples.
    """
    chunks = _riff_chunks(data)
    tag, channels, rate, frame_bytes, bits = _wav_format(chunks)
    if (tag, bits) not in _WAV_KINDS or channels == 0 or frame_bytes != channels * bits // 8:
        raise UserError(
            f"unsupported WAV file: format {tag}, {bits} bits, {channels} channels, {frame_bytes} bytes per frame; convert it "
            "to 16-bit PCM"
        )
    samples = _decode(chunks, tag, bits)
    if not samples.size or not np.isfinite(samples).all():
        raise UserError(
            "the WAV file has no samples, or samples that are NaN or infinite; download or convert it again"
        )
    return np.clip(resample(samples, rate, sample_rate), -1, 1)


def wav_head(data: bytes) -> tuple[int, int, bool]:
    """Reads the header of a WAV file without decoding the samples.

    Returns:
        The number of samples per channel, if they are not compressed; the number per second, unchecked; and whether `read_wav`
        supports the format and at most two channels (with more, their mean is not the right mix).

    Raises:
        UserError: if `data` is not a WAV file, or is truncated.
    """
    chunks = _riff_chunks(data)
    tag, channels, rate, frame_bytes, bits = _wav_format(chunks)
    supported = (tag, bits) in _WAV_KINDS and channels in (1, 2) and frame_bytes == channels * bits // 8
    return len(chunks[b"data"]) // max(frame_bytes, 1), rate, supported


def plain_wav(data: bytes) -> bytes:
    """Returns a WAV file reduced to its format and data chunks, with correct sizes. Raises UserError as `wav_head`."""
    return _plain(_riff_chunks(data))


def _wav_format(chunks: dict[bytes, memoryview]) -> tuple[int, int, int, int, int]:
    """Returns format tag, number of channels, samples per second, bytes per frame (all channels), bits per sample."""
    tag, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if tag == _EXTENSIBLE:
        (tag,) = struct.unpack_from("<H", bytes(chunks[b"fmt "]).ljust(26, b"\0"), 24)
    return tag, channels, rate, frame_bytes, bits


def _plain(chunks: dict[bytes, memoryview]) -> bytes:
    sizes = {name: struct.pack("<I", len(chunks[name])) for name in (b"fmt ", b"data")}
    body = [part for name, size in sizes.items() for part in (name, size, chunks[name])]
    return b"".join([b"RIFF", struct.pack("<I", 4 + sum(map(len, body))), b"WAVE", *body])


def _decode(chunks: dict[bytes, memoryview], tag: int, bits: int) -> np.ndarray:
    """Decodes the samples and averages the channels, float32 [n] in [-1, 1]."""
    dtype, zero, full_scale = _WAV_KINDS[tag, bits]
    try:
        # The decoder fails on further chunks behind the samples, and on some before them.
        raw = tfio.audio.decode_wav(_plain(chunks), dtype=dtype).numpy()
    except tf.errors.OpError as error:
        raise UserError("damaged WAV file: the samples cannot be decoded; download or convert it again") from error
    if (tag, bits) == (1, 32):
        raw = raw.view(np.int32)
    mean = raw.mean(axis=1, dtype=np.float64)
    mean -= zero
    mean /= full_scale
    return mean.astype(np.float32)


def _riff_chunks(data: bytes) -> dict[bytes, memoryview]:
    """Returns the chunks of a WAV file by name, including `fmt ` and `data`. Raises UserError if one is missing or truncated.

    Writers that cannot seek to the header, such as pipes and browsers, leave a size of 0, 2 or 4 GiB: the samples then extend
    to the end of the file. Others include the header in the size, so that a few bytes seem to be missing. RIFF's own size is
    not used.
    """
    if data.startswith(b"version https://git-lfs"):
        raise UserError("a Git LFS pointer, not a WAV file; run `git lfs pull` in the clone of the corpus")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise UserError(
            f"not a WAV file: {len(data)} bytes that start with {data[:12]!r}, not RIFF....WAVE; convert it to WAV"
        )
    chunks: dict[bytes, memoryview] = {}
    position = 12
    while position + 8 <= len(data) and b"data" not in chunks:
        name, size = struct.unpack_from("<4sI", data, position)
        rest = len(data) - position - 8
        if name == b"data" and (
            size == 0 or size in _PLACEHOLDERS or 0 < size - rest <= min(position + 8, _HEADER_BYTES)
        ):
            size = rest - rest % (int.from_bytes(chunks.get(b"fmt ", b"")[12:14], "little") or 1)  # whole frames
        chunks[name] = memoryview(data)[position + 8 : position + 8 + size]
        if len(chunks[name]) < size:
            missing = size - len(chunks[name])
            raise UserError(
                f"truncated WAV file: {missing} of {size} bytes of chunk {name!r} are missing; download it again"
            )
        position += 8 + size + size % 2
    if b"data" not in chunks or len(chunks.get(b"fmt ", b"")) < 16:
        raise UserError("truncated WAV file: no complete fmt chunk followed by a data chunk; download it again")
    return chunks


def resample(samples: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Changes the sample rate with tensorflow-io's resampler (Speex at a fixed quality).

    The resampler's delay is compensated to within half a sample. Measured from 48 and 44.1 to 16 kHz: the level is constant
    within 0.03 dB up to 6.8 kHz (0.85 of the lower Nyquist frequency), 0.4 dB lower at 7 kHz and 11 dB lower at 7.5 kHz;
    aliases of frequencies above 8.05 kHz are below -80 dB.

    Args:
        samples: float32 [n].
        rate_in: samples per second of `samples`.
        rate_out: samples per second of the result.

    Returns:
        float32 [ceil(n * rate_out / rate_in)]; `samples` itself if the rates are equal.

    Raises:
        UserError: if a rate is outside 1 kHz to 768 kHz.
    """
    if rate_in not in _RATES or rate_out not in _RATES:
        raise UserError(f"cannot resample from {rate_in} to {rate_out} Hz; rates must be between 1 kHz and 768 kHz")
    if rate_in == rate_out:
        return samples
    delay = _resampler_delay(rate_in, rate_out)
    length = -(-len(samples) * rate_out // rate_in)
    tail = -(-(delay + 1) * rate_in // rate_out)  # silence that flushes the filter
    return _resample(np.pad(samples, (0, tail))[None, :, None], rate_in, rate_out).numpy()[0, delay : delay + length, 0]


@tf.function(
    input_signature=[tf.TensorSpec([1, None, 1]), tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64)],
)
def _resample(samples: tf.Tensor, rate_in: tf.Tensor, rate_out: tf.Tensor) -> tf.Tensor:
    return tfio.audio.resample(samples, rate_in, rate_out)  # traced once; in eager mode it is traced in every call


@functools.cache
def _resampler_delay(rate_in: int, rate_out: int) -> int:
    """Measures the resampler's delay in output samples, by an impulse one second into two seconds of silence."""
    impulse = np.zeros([1, 2 * rate_in, 1], np.float32)
    impulse[0, rate_in] = 1
    return int(np.argmax(_resample(impulse, rate_in, rate_out)[0, :, 0])) - rate_out


def centre(samples: np.ndarray, clip_samples: int) -> np.ndarray:
    """Returns the middle `clip_samples` of `samples` [n], with the same dtype; pads shorter audio with silence on both sides.

    If the difference is odd, one sample more is cut or padded at the end.
    """
    start = abs(len(samples) - clip_samples) // 2
    if len(samples) >= clip_samples:
        return samples[start : start + clip_samples]
    return np.pad(samples, (start, clip_samples - len(samples) - start))


def level_dbfs(samples: np.ndarray) -> float:
    """RMS level of `samples` [n] in dB relative to a sine of amplitude 1; at least `SILENCE_DBFS`."""
    power = 2 * np.mean(np.square(samples, dtype=np.float64)) if len(samples) else 0.0
    return float(10 * np.log10(max(power, 10 ** (SILENCE_DBFS / 10))))


@tf.function
def spectrogram(waveform: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """Computes spectrogram images: decibels relative to a full-scale sine, `floor_db`..`ceiling_db` mapped to [-1, 1].

    Args:
        waveform: float32 or float64 [..., config.clip_samples] in [-1, 1].
        config: the settings.

    Returns:
        [..., S, S, 1] of the same dtype: frequency (row 0 is the lowest), time, 1. Silence is exactly -1.
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

    Every clip starts from the same random phases, so that its audio depends only on its image and the seed.

    Args:
        spectrogram: float32 [..., S, S, 1] in [-1, 1], as returned by `spectrogram`.
        config: the settings of the spectrogram. The loudness that `per_clip_maximum` removes is not restored.
        iterations: number of Griffin-Lim iterations; more reduce the error.
        seed: seed of the initial phases.

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
    """Short-time Fourier transform of zero-padded audio [..., clip_samples]: complex [..., S frames, bins]."""
    ends = [[0, 0]] * (len(waveform.shape) - 1) + [[config.pad_samples, config.pad_samples]]
    return tf.signal.stft(tf.pad(waveform, ends), config.window_samples, config.hop_samples)  # a periodic Hann window


def _inverse_stft(spectrum: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """Returns the audio [..., clip_samples] whose `_stft` is nearest to `spectrum` (Griffin and Lim 1984, Eq. 6)."""
    window = tf.signal.hann_window(config.window_samples)
    frames = tf.signal.irfft(spectrum) * window
    overlap = tf.signal.overlap_and_add(tf.repeat(tf.square(window)[tf.newaxis], config.size, 0), config.hop_samples)
    inside = slice(config.pad_samples, config.pad_samples + config.clip_samples)
    return tf.signal.overlap_and_add(frames, config.hop_samples)[..., inside] / overlap[inside]


def _full_scale(config: SpectrogramConfig) -> float:
    """Magnitude of a sine of amplitude 1 at its bin: half the sum of the periodic Hann window, which is N / 2."""
    return config.window_samples / 4


@functools.cache
def _mel_filters(config: SpectrogramConfig) -> np.ndarray:
    """float32 [bands, bins]: triangles of height 1 on Slaney's mel scale, 0 to half the sample rate."""
    return librosa.filters.mel(sr=config.sample_rate, n_fft=config.window_samples, n_mels=config.mel_bands, norm=None)


def _invert_mel(bands: tf.Tensor, config: SpectrogramConfig) -> tf.Tensor:
    """Returns non-negative powers of bins, [..., bins], whose mel bands are `bands`, [..., bands].

    Uses multiplicative updates for the Kullback-Leibler divergence (Lee and Seung 2001, Eq. 5). Unlike a pseudo-inverse
    clipped at zero, they preserve faint bands next to loud ones: the error on speech is 0.1-0.2 dB instead of 0.2-0.7 dB.
    """
    filters = _mel_filters(config)
    share = np.divide(filters, filters.sum(0), out=np.zeros_like(filters), where=filters.sum(0) > 0)
    bins = tf.matmul(bands / filters.sum(1), share)
    for _ in range(_MEL_UPDATES):
        bins *= tf.matmul(tf.math.divide_no_nan(bands, tf.matmul(bins, filters, transpose_b=True)), share)
    return bins
