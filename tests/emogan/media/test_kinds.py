"""Supported formats: a file of each that PyAV can write is opened, and a truncated one is detected."""

import functools
import io
import struct
from pathlib import Path

import av
import pytest
import soundfile
from films import Track, film, number_of, numbered, tone

from datasets import media
from datasets.clips import Listing, media_files
from emogan.errors import MediaError
from emogan.media import audio_streams, kinds

VIDEOS = {  # suffix -> container, images, sound
    ".3g2": ("3g2", "mpeg4", "aac"), ".3gp": ("3gp", "libx264", "aac"), ".asf": ("asf", "mpeg4", "libmp3lame"),
    ".avi": ("avi", "mpeg4", "libmp3lame"), ".f4v": ("f4v", "libx264", "aac"), ".flv": ("flv", "flv", "pcm_s16le"),
    ".m2ts": ("mpegts", "libx264", "ac3"), ".m4v": ("mp4", "mpeg4", "aac"), ".mkv": ("matroska", "libx264", "flac"),
    ".mov": ("mov", "libx264", "pcm_s16le"), ".mp4": ("mp4", "libx264", "aac"), ".mpeg": ("mpeg", "mpeg1video", "mp2"),
    ".mpg": ("mpeg", "mpeg2video", "mp2"), ".mts": ("mpegts", "libx264", "ac3"), ".ogv": ("ogg", "libvpx", "libopus"),
    ".ts": ("mpegts", "mpeg2video", "mp2"), ".vob": ("vob", "mpeg2video", "ac3"), ".webm": ("webm", "libvpx", "libopus"),
    ".wmv": ("asf", "wmv2", "libmp3lame"),
}  # fmt: skip
AUDIO = {  # suffix -> container, codec
    ".aac": ("adts", "aac"), ".ac3": ("ac3", "ac3"), ".aif": ("aiff", "pcm_s16be"), ".aiff": ("aiff", "pcm_s24be"),
    ".caf": ("caf", "pcm_s16be"), ".flac": ("flac", "flac"), ".m4a": ("ipod", "aac"), ".mka": ("matroska", "aac"),
    ".mp3": ("mp3", "libmp3lame"), ".oga": ("oga", "flac"), ".ogg": ("ogg", "libopus"), ".opus": ("opus", "libopus"),
    ".wav": ("wav", "pcm_s16le"), ".wma": ("asf", "libmp3lame"),
}  # fmt: skip
SECONDS = 1.2


@functools.cache
def made(suffix: str) -> bytes:
    if suffix == ".amr":
        track = Track(samples=tone(SECONDS, rate=8000), rate=8000, codec="libopencore_amrnb")
        return film([], track, container="amr")
    container, *video, sound = VIDEOS.get(suffix) or AUDIO[suffix]
    rate = 44_100 if container == "flv" else 48_000
    track = Track(samples=tone(SECONDS, rate=rate), rate=rate, codec=sound)
    options = {"mpegts_m2ts_mode": "1"} if suffix in (".m2ts", ".mts") else None
    frames = numbered(30) if video else []
    return film(frames, track, container=container, codec=video[0] if video else "", container_options=options)


def test_every_format_is_tested():
    assert VIDEOS.keys() == kinds.VIDEO_SUFFIXES
    assert AUDIO.keys() | {".amr"} == kinds.AUDIO_SUFFIXES


@pytest.mark.parametrize("suffix", sorted(kinds.VIDEO_SUFFIXES | kinds.AUDIO_SUFFIXES))
def test_a_file_of_each_format_is_listed_and_opened(suffix, tmp_path):
    path = tmp_path / f"a{suffix.upper()}"
    path.write_bytes(made(suffix))
    assert media_files(tmp_path, Listing(splits={})) == [path]
    assert not kinds.is_cut_off(made(suffix))
    samples, _ = audio_streams.read_audio(path, made(suffix), 16_000)
    assert len(samples) == pytest.approx(SECONDS * 16_000, abs=2000)
    assert 0.1 < abs(samples[4000:-4000]).max() < 0.5
    if suffix in kinds.VIDEO_SUFFIXES:
        with media.Video(path, made(suffix)) as video:
            assert video.frame_count == 30
            assert video.seconds == pytest.approx(SECONDS, abs=0.05)
            assert number_of(next(video.frames([0]))[1]) == 15


def is_cut_off(action, data: bytes) -> bool:
    """Whether a file is rejected as truncated; any other reason fails the test."""
    try:
        action(Path("a"), data)
    except MediaError as error:
        return (error.reason == "truncated" and error.detail != "") or pytest.fail(str(error))
    return False


hear = functools.partial(audio_streams.read_audio, sample_rate=16_000)


@pytest.mark.parametrize("suffix", sorted(kinds.VIDEO_SUFFIXES))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_video(suffix, share):
    cut = made(suffix)[: int(len(made(suffix)) * share) | 7]  # not between two packets of a transport stream
    assert is_cut_off(media.Video, cut)
    assert is_cut_off(hear, cut)


SIZELESS = {".aac", ".ac3", ".amr"}
"""Formats that consist only of packets."""


@pytest.mark.parametrize("suffix", sorted(kinds.AUDIO_SUFFIXES - SIZELESS))
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_audio_file(suffix, share):
    whole = made(suffix)
    assert not is_cut_off(hear, whole)
    assert is_cut_off(hear, whole[: max(int(len(whole) * share), 60 if suffix == ".mp3" else 0)])


def between_packets(data: bytes) -> bytes:
    """A file up to its middle packet."""
    with av.open(io.BytesIO(data)) as file:
        places = [packet.pos for packet in file.demux() if packet.pos]
    return data[: places[len(places) // 2]]


WITHOUT_A_SIZE = {
    **{suffix: functools.partial(made, suffix) for suffix in sorted(SIZELESS)},
    "MP3 from a live encoder": lambda: film(
        [], Track(samples=tone(SECONDS), codec="libmp3lame"), container="mp3", container_options={"write_xing": "0"}
    ),
    "FLAC from a live encoder": lambda: made(".flac")[:21] + b"\xf0" + bytes(4) + made(".flac")[26:],
}


@pytest.mark.parametrize("what", WITHOUT_A_SIZE)
def test_files_without_sizes_count_as_complete(what):
    """A file that ends between two packets is like a shorter recording."""
    data = WITHOUT_A_SIZE[what]()
    whole, half = (len(hear(Path("a"), part)[0]) / 16_000 for part in (data, between_packets(data)))
    assert whole == pytest.approx(SECONDS, abs=0.05)
    assert half == pytest.approx(SECONDS / 2, abs=0.2)


def of_fraunhofer(mp3: bytes) -> bytes:
    """The file with the number of frames in another encoder's format."""
    place = mp3.index(b"Info") - 4 - 17  # start of the frame: its header and side information
    frames = mp3[place + 29 : place + 33]
    return mp3[: place + 4] + bytes(32) + b"VBRI" + bytes(10) + frames + mp3[place + 54 :]


def of_soundfile(container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(SECONDS), 48_000, format=container, subtype=subtype)
    return buffer.getvalue()


WITH_A_SIZE = {
    "FLAC": functools.partial(made, ".flac"),
    "MP3": functools.partial(made, ".mp3"),
    "MP3 with VBRI": lambda: of_fraunhofer(made(".mp3")),
    "AIFC": lambda: of_soundfile("AIFF", "ULAW"),
    "CAF of ALAC": lambda: of_soundfile("CAF", "ALAC_16"),
    "Ogg Vorbis": lambda: of_soundfile("OGG", "VORBIS"),
    "RF64": lambda: of_soundfile("RF64", "PCM_24"),
}


@pytest.mark.parametrize("what", WITH_A_SIZE)
def test_files_with_sizes_are_detected_if_truncated_between_packets(what):
    data = WITH_A_SIZE[what]()
    assert len(hear(Path("a"), data)[0]) == pytest.approx(SECONDS * 16_000, abs=500)
    assert is_cut_off(hear, between_packets(data))


def test_two_concatenated_files_are_complete():
    frames = made(".mp3")[made(".mp3").index(b"\xff") :]  # without the tag
    for data in (frames, made(".ogg")):
        assert len(hear(Path("a"), 2 * data)[0]) > 1.9 * SECONDS * 16_000
    assert is_cut_off(hear, made(".ogg") + made(".ogg")[:-100])


@pytest.mark.parametrize(
    ("suffix", "chunk", "size"),
    [
        (".aiff", b"SSND", b"\xff" * 4),
        (".aiff", b"SSND", struct.pack(">I", 0x7FFFFFFF)),
        (".caf", b"data", b"\xff" * 8),
    ],
)
def test_live_recordings_have_placeholder_sizes(suffix, chunk, size):
    data = made(suffix)
    place = data.index(chunk) + 4
    live = data[:place] + size + data[place + len(size) :]
    assert len(hear(Path("a"), live)[0]) == pytest.approx(SECONDS * 16_000, abs=5)


def test_a_live_recording_counts_as_complete():
    """Its sizes are placeholders, so that it may end anywhere."""
    whole = made(".mkv")
    place = whole.index(b"\x18S\x80g") + 4
    live = whole[:place] + b"\x01" + b"\xff" * 7 + whole[place + 8 :]
    assert not kinds.is_cut_off(live[: len(live) // 2])
    assert not kinds.is_cut_off(b"")
    assert not kinds.is_cut_off(b"\x1aE\xdf\xa3")
