"""Opens media containers held in memory, and chooses their streams by what they are.

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
"""On one file, more than a hundred times what the slowest sound clip takes: only files made to do harm take longer."""

# A text file can be a playlist that names other files or addresses: only real containers, and nothing from elsewhere.
_OPTIONS = {"format_whitelist": ",".join(sorted(kinds.DEMUXERS)), "protocol_whitelist": ""}
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails
_ASIDE = (
    Disposition.comment | Disposition.dub | Disposition.lyrics | Disposition.karaoke | Disposition.hearing_impaired
    | Disposition.visual_impaired | Disposition.clean_effects | Disposition.non_diegetic | Disposition.descriptions
)  # fmt: skip
"""Not what was recorded with the image."""

T = TypeVar("T")


def open_file(path: Path, data: bytes) -> av.container.InputContainer:
    """Opens the file `path`, which holds `data`. Raises MediaError: `truncated` or `not_media`."""
    if kinds.is_cut_off(data):
        raise MediaError(path, "truncated", f"it is cut off: more should follow behind its {len(data):,} bytes")
    try:
        return av.open(io.BytesIO(data), options=_OPTIONS, metadata_errors="replace")
    except av.FFmpegError as error:
        # The first bytes still say that this was media: an MP4 that lost its end lost its index too.
        if kinds.is_container(data):
            raise MediaError(path, "truncated", f"the container is incomplete: {error.strerror}") from error
        raise MediaError(path, "not_media", f"no media container: {error.strerror}") from error


def tracks(container: av.container.InputContainer, kind: Literal["video", "audio"]) -> list[av.stream.Stream]:
    """The streams of a kind, the one that was recorded first: no cover image, and what is commentary comes last.

    Of streams alike the one comes first that FFmpeg takes for the best, by their marks, length and quality.
    """
    best = container.streams.best(kind)
    streams = [one for one in container.streams if one.type == kind and not one.disposition & _COVER]
    return sorted(streams, key=lambda one: (one.codec_context is None, bool(one.disposition & _ASIDE), one is not best))


def decoder(path: Path, stream: av.stream.Stream) -> av.CodecContext:
    """The stream's decoder. Raises MediaError: `undecodable`."""
    if stream.codec_context is None:
        raise MediaError(path, "undecodable", f"no decoder for the {stream.type} stream's codec, or for none at all")
    return stream.codec_context


def packets(path: Path, container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    """The packets of one stream, and an empty one at the end. Raises MediaError: `truncated`, `too_slow`."""
    if any(entry.size and entry.pos + entry.size > container.size for entry in stream.index_entries):
        raise MediaError(path, "truncated", f"the file ends before its {stream.type} does")
    # PyAV reads behind the end of a list where further streams appeared on the way; then all packets have been given.
    with contextlib.suppress(IndexError):
        yield from in_time(path, container.demux(stream))


@contextlib.contextmanager
def damage(path: Path, what: str) -> Iterator[None]:
    """Turns what PyAV raises for damaged data into a MediaError."""
    try:
        yield
    except (av.FFmpegError, ValueError) as error:  # ValueError: the format changes on the way
        raise MediaError(path, "truncated", f"{what}: {getattr(error, 'strerror', error)}") from error


def in_time(path: Path, work: Iterable[T]) -> Iterator[T]:
    """Hands on the items of `work`; raises MediaError where they take longer than MAX_WORK_SECONDS."""
    end = time.monotonic() + MAX_WORK_SECONDS
    for item in work:
        if time.monotonic() >= end:
            raise MediaError(path, "too_slow", f"decoding takes longer than {MAX_WORK_SECONDS:.0f} s")
        yield item
