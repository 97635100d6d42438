"""Encodes JPEG, WAV, M4A, FLV and MP4 files in memory, with the same bytes for the same input.

Public names: jpeg, wav, m4a, video.
Encoders run on one thread, and files contain no creation time.
"""

import io
import wave
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image
from scipy.signal import resample_poly

from datasets.synthetic.voices import SAMPLE_RATE

_OPTIONS = {"fflags": "+bitexact"}
_VIDEO_CODECS = {"flv": ("flv", {"qscale": "3"}), "mp4": ("libx264", {"preset": "ultrafast", "crf": "23"})}
_AUDIO_CODECS = {
    "flv": ("libmp3lame", 44_100, {"compression_level": "9"}),
    "mp4": ("aac", 48_000, {"aac_coder": "fast"}),
    "ipod": ("aac", SAMPLE_RATE, {"aac_coder": "fast"}),
}
_AUDIO_BIT_RATE = 96_000
_JPEG_QUALITY = 90


def jpeg(image: np.ndarray) -> bytes:
    """Encodes uint8 RGB [height, width, 3] as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def wav(samples: np.ndarray) -> bytes:
    """Encodes float samples [n] in [-1, 1] as 16 kHz mono 16-bit WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(_integers(samples).tobytes())
    return buffer.getvalue()


def m4a(samples: np.ndarray) -> bytes:
    """Encodes float samples [n] in [-1, 1] as 16 kHz mono AAC."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ipod", options=_OPTIONS) as container:
        _encode_audio(container, _add_audio(container, "ipod"), samples)
    return buffer.getvalue()


def video(
    container_format: str,
    frames: Iterable[np.ndarray],
    frame_size: tuple[int, int],
    frame_rate: Fraction,
    samples: np.ndarray | None,
) -> bytes:
    """Encodes a video file.

    Args:
        container_format: `flv` (Sorenson H.263 and 44.1 kHz MP3) or `mp4` (H.264 and 48 kHz AAC).
        frames: uint8 RGB [height, width, 3].
        frame_size: width and height, pixels.
        frame_rate: frames per second.
        samples: the audio at 16 kHz, float [n] in [-1, 1], or None for a video without audio.
    """
    buffer = io.BytesIO()
    codec, codec_options = _VIDEO_CODECS[container_format]
    with av.open(buffer, "w", format=container_format, options=_OPTIONS) as container:
        stream = container.add_stream(codec, rate=frame_rate, options=codec_options)
        stream.width, stream.height = frame_size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        audio = None if samples is None else _add_audio(container, container_format)
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
        if samples is not None:
            _encode_audio(container, audio, samples)
    return buffer.getvalue()


def _add_audio(container: Any, container_format: str) -> Any:
    codec, rate, options = _AUDIO_CODECS[container_format]
    stream = container.add_stream(codec, rate=rate, layout="mono", options=options)
    stream.bit_rate = _AUDIO_BIT_RATE
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream


def _encode_audio(container: Any, stream: Any, samples: np.ndarray) -> None:
    # Resampled here, because FFmpeg's resampler ends some lengths with a packet that its MP4 muxer refuses.
    resampled = resample_poly(samples, *Fraction(stream.rate, SAMPLE_RATE).as_integer_ratio())
    frame = av.AudioFrame.from_ndarray(_integers(np.clip(resampled, -1, 1))[None], format="s16", layout="mono")
    frame.sample_rate = stream.rate
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _integers(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).astype("<i2")
