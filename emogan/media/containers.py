"""Opens media containers in memory and selects their streams.

Public names: open_file, tracks, decoder, packets, in_time, damage. Every fault becomes a MediaError.
"""

import contextlib
import io
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import av
from av.stream import Disposition

from emogan.errors import MediaError
from emogan.media import kinds

MAX_WORK_SECONDS = 120.0
"""Time limit per file, more than 100 times that of the slowest valid clip; only malicious files take longer."""

# Only media containers, and no access to other files or addresses: a text file could be a playlist that names some.
_OPTIONS = {"format_whitelist": ",".join(sorted(kinds.DEMUXERS)), "protocol_whitelist": ""}
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails
_SECONDARY = (
    Disposition.comment | Disposition.dub | Disposition.lyrics | Disposition.karaoke | Disposition.hearing_impaired
    | Disposition.visual_impaired | Disposition.clean_effects | Disposition.non_diegetic | Disposition.descriptions
)  # fmt: skip
"""Streams other than the original recording."""

T = TypeVar("T")


def open_file(path: Path, data: bytes) -> av.container.InputContainer:
    """Opens `data`, the content of the file `path`. Raises MediaError: `truncated` or `not_media`."""
    if kinds.is_cut_off(data):
        raise MediaError(path, "truncated", f"more data should follow after {len(data):,} bytes")
    try:
        return av.open(io.BytesIO(data), options=_OPTIONS, metadata_errors="replace")
    except av.FFmpegError as error:
        # The first bytes show that this is media: a truncated MP4 has lost its index.
        if kinds.is_container(data):
            raise MediaError(path, "truncated", f"the container is incomplete: {error.strerror}") from error
        raise MediaError(path, "not_media", f"not a media container: {error.strerror}") from error


def tracks(container: av.container.InputContainer, kind: Literal["video", "audio"]) -> list[av.stream.Stream]:
    """Returns the streams of a kind without cover images, original recordings first, commentary and the like last.

    Among equals, FFmpeg's best stream comes first (by disposition, length and quality).
    """
    best = container.streams.best(kind)
    streams = [s for s in container.streams if s.type == kind and not s.disposition & _COVER]
    return sorted(streams, key=lambda s: (s.codec_context is None, bool(s.disposition & _SECONDARY), s is not best))


def decoder(path: Path, stream: av.stream.Stream) -> av.CodecContext:
    """Returns the stream's decoder. Raises MediaError: `undecodable`."""
    if stream.codec_context is None:
        raise MediaError(path, "undecodable", f"the codec of the {stream.type} stream is unsupported or missing")
    return stream.codec_context


def packets(path: Path, container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    """Yields the packets of a stream, and an empty one at the end. Raises MediaError: `truncated`, `too_slow`."""
    if any(entry.size and entry.pos + entry.size > container.size for entry in stream.index_entries):
        raise MediaError(path, "truncated", f"the file ends before its {stream.type} does")
    # If streams appear while reading, PyAV raises an IndexError after the last packet.
    with contextlib.suppress(IndexError):
        yield from in_time(path, container.demux(stream))


@contextlib.contextmanager
def damage(path: Path, message: str) -> Iterator[None]:
    """Converts PyAV's exceptions for damaged data into a MediaError."""
    try:
        yield
    except (av.FFmpegError, ValueError) as error:  # ValueError: the format changes within the stream
        raise MediaError(path, "truncated", f"{message}: {getattr(error, 'strerror', error)}") from error


def in_time(path: Path, work: Iterable[T]) -> Iterator[T]:
    """Yields the items of `work`; raises MediaError, `too_slow`, after MAX_WORK_SECONDS."""
    end = time.monotonic() + MAX_WORK_SECONDS
    for item in work:
        if time.monotonic() >= end:
            raise MediaError(path, "too_slow", f"decoding takes longer than {MAX_WORK_SECONDS:.0f} s")
        yield item
