"""One list of the kinds of files: one of each that PyAV can write is opened, and one that is cut off is told."""

import functools
from pathlib import Path

import pytest
from films import Track, film, number_of, numbered, tone

from datasets import media
from datasets.clips import Listing, media_files
from emogan.errors import MediaError
from emogan.media import kinds, sounds

VIDEOS = {  # suffix -> container, pictures, sound
    ".3g2": ("3g2", "mpeg4", "aac"), ".3gp": ("3gp", "libx264", "aac"), ".asf": ("asf", "mpeg4", "libmp3lame"),
    ".avi": ("avi", "mpeg4", "libmp3lame"), ".f4v": ("f4v", "libx264", "aac"), ".flv": ("flv", "flv", "pcm_s16le"),
    ".m2ts": ("mpegts", "libx264", "ac3"), ".m4v": ("mp4", "mpeg4", "aac"), ".mkv": ("matroska", "libx264", "flac"),
    ".mov": ("mov", "libx264", "pcm_s16le"), ".mp4": ("mp4", "libx264", "aac"), ".mpeg": ("mpeg", "mpeg1video", "mp2"),
    ".mpg": ("mpeg", "mpeg2video", "mp2"), ".mts": ("mpegts", "libx264", "ac3"), ".ogv": ("ogg", "libvpx", "libopus"),
    ".ts": ("mpegts", "mpeg2video", "mp2"), ".vob": ("vob", "mpeg2video", "ac3"), ".webm": ("webm", "libvpx", "libopus"),
    ".wmv": ("asf", "wmv2", "libmp3lame"),
}  # fmt: skip
SOUNDS = {  # suffix -> container, codec
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
    container, *video, sound = VIDEOS.get(suffix) or SOUNDS[suffix]
    rate = 44_100 if container == "flv" else 48_000
    track = Track(samples=tone(SECONDS, rate=rate), rate=rate, codec=sound)
    options = {"mpegts_m2ts_mode": "1"} if suffix in (".m2ts", ".mts") else None
    frames = numbered(30) if video else []
    return film(frames, track, container=container, codec=video[0] if video else "", container_options=options)


def test_every_kind_is_tried_here():
    assert VIDEOS.keys() == kinds.VIDEO_SUFFIXES
    assert SOUNDS.keys() | {".amr"} == kinds.SOUND_SUFFIXES


@pytest.mark.parametrize("suffix", sorted(kinds.VIDEO_SUFFIXES | kinds.SOUND_SUFFIXES))
def test_one_of_each_kind_is_listed_and_opened(suffix, tmp_path):
    path = tmp_path / f"a{suffix.upper()}"
    path.write_bytes(made(suffix))
    assert media_files(tmp_path, Listing(splits={})) == [path]
    assert not kinds.is_cut_off(made(suffix))
    samples, _ = sounds.read_sound(path, made(suffix), 16_000)
    assert len(samples) == pytest.approx(SECONDS * 16_000, abs=2000)
    assert 0.1 < abs(samples[4000:-4000]).max() < 0.5
    if suffix in kinds.VIDEO_SUFFIXES:
        with media.Video(path, made(suffix)) as video:
            assert video.frame_count == 30
            assert video.seconds == pytest.approx(SECONDS, abs=0.05)
            assert number_of(next(video.frames([0]))[1]) == 15


@pytest.mark.parametrize("suffix", sorted(kinds.VIDEO_SUFFIXES - {".ogv"}))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_video_that_is_cut_off(suffix, share):
    cut = made(suffix)[: int(len(made(suffix)) * share) | 7]  # not between two packets of a transport stream
    for action in (media.Video, functools.partial(sounds.read_sound, sample_rate=16_000)):
        with pytest.raises(MediaError) as caught:
            action(Path("a"), cut)
        assert caught.value.reason == "truncated"


def test_a_live_recording_does_not_say_how_long_it_is():
    """Its sizes are those that stand for unknown; it ends where it ends."""
    whole = made(".mkv")
    place = whole.index(b"\x18S\x80g") + 4
    live = whole[:place] + b"\x01" + b"\xff" * 7 + whole[place + 8 :]
    assert not kinds.is_cut_off(live[: len(live) // 2])
    assert not kinds.is_cut_off(b"")
    assert not kinds.is_cut_off(b"\x1aE\xdf\xa3")
