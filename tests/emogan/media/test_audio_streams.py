"""Decoding audio: selection of tracks, channel layouts and levels, and all kinds of WAV files."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from films import RATE, Track, film, numbered, tone

from emogan.errors import MediaError
from emogan.media import audio_streams

LEVEL = 0.25
COMMENTARY = tone(1.2, LEVEL, hertz=880)
VOICE = tone(1.2, LEVEL)
FRONT_LEFT, FRONT_RIGHT, CENTRE, BASS = range(4)


def heard(data: bytes, name: str = "a.mp4") -> np.ndarray:
    return audio_streams.read_audio(Path(name), data, 16_000)[0]


def reason_of(data: bytes) -> str:
    with pytest.raises(MediaError) as caught:
        heard(data)
    assert caught.value.detail
    return caught.value.reason


def decibels(samples: np.ndarray) -> float:
    """Level of a tone relative to one of LEVEL, dB; at least -100."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return 20 * np.log10(max(np.sqrt(2 * np.mean(np.square(middle, dtype=np.float64))) / LEVEL, 1e-5))


def pitch(samples: np.ndarray) -> int:
    return round(int(np.argmax(np.abs(np.fft.rfft(samples)))) * 16_000 / len(samples) / 440) * 440


# Tracks


def two_tracks(first: Track, second: Track, container: str) -> bytes:
    return film(numbered(30), first, second, container=container)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("mark", ["comment", "visual_impaired", "dub"])
def test_commentary_is_not_used(container, mark):
    aside = Track(samples=COMMENTARY, disposition=Disposition[mark])
    plain = Track(samples=VOICE, disposition=Disposition.default)
    data = two_tracks(aside, plain, container)
    with av.open(io.BytesIO(data)) as file:
        assert file.streams.audio[0].disposition & Disposition[mark] or container == "mp4"
    assert pitch(heard(data)) == 440
    assert pitch(heard(two_tracks(plain, aside, container))) == 440
    assert pitch(heard(film(numbered(30), aside, container=container))) == 880


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_a_silent_track_is_skipped(container):
    mute = Track(samples=0 * VOICE)
    assert pitch(heard(two_tracks(mute, Track(samples=VOICE), container))) == 440
    assert pitch(heard(two_tracks(Track(samples=VOICE), Track(samples=COMMENTARY), container))) == 440
    assert np.abs(heard(two_tracks(mute, mute, container))).max() < audio_streams.SILENCE


def test_the_time_of_the_first_sample():
    for container in ("mp4", "matroska", "mpegts"):
        begins = []
        for begin in (0.0, 0.6):
            track = Track(samples=VOICE, codec="libmp3lame", begin=begin)
            begins.append(
                audio_streams.read_audio(Path("a"), film(numbered(30), track, container=container), 16_000)[1]
            )
        assert begins[1] - begins[0] == pytest.approx(0.6, abs=0.06), container


# Layouts


def surround(layout: str, channels: tuple[int, ...], container: str, codec: str) -> bytes:
    samples = np.zeros((av.AudioLayout(layout).nb_channels, len(VOICE)), np.float32)
    samples[list(channels)] = VOICE
    return film([], Track(samples=samples, layout=layout, codec=codec), container=container)


@pytest.mark.parametrize(
    ("layout", "channels", "expected"),
    [
        ("mono", (0,), 0),
        ("stereo", (FRONT_LEFT, FRONT_RIGHT), 0),
        ("stereo", (FRONT_LEFT,), -6.02),
        ("2.1", (FRONT_LEFT, FRONT_RIGHT), 0),
        ("2.1", (BASS - 1,), -100),
        ("3.0", (CENTRE,), 0),
        ("4.0", (CENTRE,), 0),
        ("quad", (FRONT_LEFT, FRONT_RIGHT), 0),
        ("5.0", (CENTRE,), 0),
        ("5.1", (CENTRE,), 0),
        ("5.1", (FRONT_LEFT,), -3.01),
        ("5.1", (BASS,), -100),
        ("5.1(side)", (CENTRE,), 0),
        ("6.1", (CENTRE,), 0),
    ],
)
@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("flac", "flac"), ("wav", "pcm_s16le")])
def test_channels_are_mixed_by_their_layout(layout, channels, expected, container, codec):
    level = decibels(heard(surround(layout, channels, container, codec)))
    assert level == pytest.approx(expected, abs=0.7 if codec == "aac" else 0.1)


def wav_of(samples: np.ndarray, mask: int | None, tag: int = 1) -> bytes:
    """A 16-bit WAV file of samples [channels, n]; extensible if it has a channel mask."""
    channels, bits = len(samples), 16
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag if mask is None else 0xFFFE, channels, RATE, RATE * frame, frame, bits)
    if mask is not None:
        guid = bytes.fromhex("00001000800000aa00389b71")
        form += struct.pack("<HHIHH", 22, bits, mask, tag, 0) + guid
    body = (samples.T * 32767).round().astype("<i2").tobytes()
    return riff((b"fmt ", form), (b"data", body))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(content)) + content for name, content in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("channels", range(1, 9))
def test_wav_files_of_one_to_eight_channels(channels):
    samples = np.zeros((channels, len(VOICE)), np.float32)
    samples[:2] = VOICE
    spread = decibels(heard(wav_of(samples, None)))
    # Up to four unnamed channels are averaged, as their positions are unknown.
    assert spread == pytest.approx(20 * np.log10(min(2, channels) / channels) if channels < 5 else 3.01, abs=0.1)
    if channels >= 3:
        samples = np.zeros((channels, len(VOICE)), np.float32)
        samples[CENTRE] = VOICE
        named = wav_of(samples, 0b111 | (2**channels - 1 & ~0b111))
        assert decibels(heard(named)) == pytest.approx(0, abs=0.1)


# WAV files


@pytest.mark.parametrize("name", ["a.wav", "a.mov"])
@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "MS_ADPCM"]
)
def test_samples_of_a_wav_file(subtype, name):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([VOICE, VOICE], axis=1), RATE, format="WAV", subtype=subtype)
    assert decibels(heard(buffer.getvalue(), name)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec"), [("ipod", "aac"), ("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus")]
)
def test_other_formats_named_wav(container, codec):
    data = film([], Track(samples=VOICE, codec=codec), container=container)
    assert decibels(heard(data, "a.wav")) == pytest.approx(0, abs=0.6)


WAV = wav_of(VOICE[None], None)
PLACES = {"riff": 4, "data": 40}


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36])
@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW"])
def test_placeholder_sizes(size, subtype):
    buffer = io.BytesIO()
    soundfile.write(buffer, VOICE, RATE, format="WAV", subtype=subtype)
    data, expected = bytearray(buffer.getvalue()), heard(buffer.getvalue())
    for place in (4, data.index(b"data") + 4):
        data[place : place + 4] = struct.pack("<I", size)
    np.testing.assert_array_equal(heard(bytes(data)), expected)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("more", [8, 36, 44])
def test_sizes_that_include_the_header(place, more):
    data = bytearray(WAV)
    data[place : place + 4] = struct.pack("<I", struct.unpack_from("<I", WAV, place)[0] + more)
    np.testing.assert_array_equal(heard(bytes(data)), heard(WAV))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_an_incomplete_last_frame_is_dropped(subtype, size):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([VOICE, VOICE], axis=1), RATE, format="WAV", subtype=subtype)
    data, expected = bytearray(buffer.getvalue()), heard(buffer.getvalue())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", size)
    np.testing.assert_array_equal(heard(bytes(data) + b"\0"), expected)


def test_a_truncated_file_with_a_large_header_is_refused():
    whole = riff((b"fmt ", WAV[20:36]), (b"JUNK", bytes(40_000)), (b"data", WAV[44:]))
    np.testing.assert_array_equal(heard(whole), heard(WAV))
    assert reason_of(whole[: -len(WAV) // 4]) == "truncated"


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "DOUBLE"])
def test_a_truncated_wav_file_is_refused(subtype):
    buffer = io.BytesIO()
    soundfile.write(buffer, VOICE, RATE, format="WAV", subtype=subtype)
    for share in (0.001, 0.1, 0.5, 0.99):
        assert reason_of(buffer.getvalue()[: int(len(buffer.getvalue()) * share)]) == "truncated"
    assert reason_of(riff((b"fmt ", WAV[20:36]), (b"data", b""))) == "no_sound"
