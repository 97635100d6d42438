"""Supported media formats, by suffix and content, and the detection of truncated files.

Public names: AUDIO_SUFFIXES, VIDEO_SUFFIXES, SUFFIXES, ARCHIVE_SUFFIX, DEMUXERS, is_of_interest, is_container,
is_cut_off, mp3_frames.
"""

import functools
import io
import mimetypes
import re
import shutil
from collections.abc import Callable
from pathlib import PurePath

_AUDIO_KINDS = {
    ".aac": "aac", ".ac3": "ac3", ".aif": "aiff", ".aiff": "aiff", ".amr": "amr", ".caf": "caf", ".flac": "flac",
    ".m4a": "mov", ".mka": "matroska", ".mp3": "mp3", ".oga": "ogg", ".ogg": "ogg", ".opus": "ogg", ".wav": "wav",
    ".wma": "asf",
}  # fmt: skip
_VIDEO_KINDS = {
    ".3g2": "mov", ".3gp": "mov", ".asf": "asf", ".avi": "avi", ".f4v": "mov", ".flv": "flv", ".m2ts": "mpegts",
    ".m4v": "mov", ".mkv": "matroska", ".mov": "mov", ".mp4": "mov", ".mpeg": "mpeg", ".mpg": "mpeg", ".mts": "mpegts",
    ".ogv": "ogg", ".ts": "mpegts", ".vob": "mpeg", ".webm": "matroska", ".wmv": "asf",
}  # fmt: skip
AUDIO_SUFFIXES = frozenset(_AUDIO_KINDS)
"""Suffixes of audio files."""
VIDEO_SUFFIXES = frozenset(_VIDEO_KINDS)
"""Suffixes of video files."""
SUFFIXES = AUDIO_SUFFIXES | VIDEO_SUFFIXES
ARCHIVE_SUFFIX = ".zip"
DEMUXERS = frozenset((_AUDIO_KINDS | _VIDEO_KINDS).values())
"""FFmpeg's names of the containers. Playlists are not among them: a text file could name other files."""

_FURTHER_ARCHIVES = {".7z", ".rar", ".zst"}
"""Suffixes of archives that Python does not know."""
_UNFINISHED = {".aria2", ".crdownload", ".download", ".filepart", ".opdownload", ".part", ".partial"}
"""Suffixes of unfinished downloads."""
_PIECE = re.compile(r"\.(\d{3}|[rz]\d\d)|_part[a-z]{2}", re.IGNORECASE)
"""Suffixes of split archives, including VoxCeleb's."""

_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"wide", b"free", b"skip"}
_PLACEHOLDERS = range(0x7FFF0000, 2**64)
"""Sizes written by streaming encoders: 2 or 4 GiB, or slightly less."""
_OGG_PAGE = re.compile(rb"OggS\0(.).{8}(.{4}).{8}(.)", re.DOTALL)
"""Groups: flags, serial number of the stream, number of segments; the segment sizes follow (RFC 3533)."""
_OGG_END = 4
_MP3_INFO = re.compile(
    rb"\xff[\xe2-\xff]..(?:..)?\0{9,32}(?:(?:Xing|Info)...[\1\3\5\7\x09\x0b\x0d\x0f]|VBRI.{10})(.{4})", re.DOTALL
)
"""MP3 info frame (Xing or VBRI) with the number of frames; Xing's flags are odd if it has one."""


def is_of_interest(name: str) -> bool:
    """Tells by the name whether a file is media or an archive, also of an unsupported format, or an unfinished download."""
    suffix = PurePath(name).suffix.lower()
    return suffix in _suffixes_of_interest() or bool(_PIECE.fullmatch(suffix or name[-len("_partaa") :]))


@functools.cache
def _suffixes_of_interest() -> frozenset[str]:
    import av  # a local import keeps `import datasets` fast

    types = mimetypes.MimeTypes()  # Python's own table, not the machine's
    known = types.types_map[False] | types.types_map[True]
    media = {suffix for suffix, kind in known.items() if kind.startswith(("audio/", "video/"))}
    for name in sorted(av.formats_available):
        try:
            container = av.format.ContainerFormat(name, "w")
            file = av.open(io.BytesIO(), "w", format=name)
        except (av.FFmpegError, ValueError):  # a format that FFmpeg only reads
            continue
        suffixes = {f".{end.strip().lower()}" for end in container.extensions}
        is_media = not container.no_file and {file.default_video_codec, file.default_audio_codec} != {"none"}
        media = media | suffixes if is_media else media - suffixes  # subtitles, playlists, images
    images = {suffix for suffix, kind in known.items() if kind.startswith("image/")}
    archives = {f".{end.rpartition('.')[2]}" for _, ends, _ in shutil.get_unpack_formats() for end in ends}
    read = AUDIO_SUFFIXES | VIDEO_SUFFIXES | {ARCHIVE_SUFFIX}
    archives |= {suffix.lower() for suffix in types.encodings_map}
    return read | (media - images) | archives | _FURTHER_ARCHIVES | _UNFINISHED


def is_container(data: bytes) -> bool:
    """Tells whether a file starts like a container format. AC-3, AAC (ADTS) and AMR are not containers."""
    return any(is_kind(data) for is_kind, _ in _CHECKS)


def is_cut_off(data: bytes) -> bool:
    """Tells whether a media file is truncated according to its own structure; FFmpeg drops incomplete data silently.

    Files without size information, such as live recordings, and other formats count as complete. FLAC and MP3 are checked
    after decoding. AC-3, AAC (ADTS) and AMR consist only of packets: a file that ends between two packets looks like a
    shorter recording.
    """
    return next((is_torn(data) for is_kind, is_torn in _CHECKS if is_kind(data)), False)


def mp3_frames(data: bytes) -> int:
    """Returns the number of frames according to an MP3 file's info frame; 0 without one, as from live encoders."""
    info = _MP3_INFO.search(data)
    return int.from_bytes(info[1] or b"", "big") if info else 0


def _is_torn_flv(data: bytes) -> bool:
    position = int.from_bytes(data[5:9], "big") + 4  # after the header and the size of the previous tag
    while position < len(data):  # a tag: type, 3 bytes of size, 7 of time and stream, data, 4 of the tag's size
        position += 11 + int.from_bytes(data[position + 1 : position + 4], "big") + 4
    return position != len(data)


def _is_torn_mp4(data: bytes) -> bool:
    position = 0
    while position + 8 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size < 8:  # 0 means up to the end of the file
            return False
        position += size
        if kind in (b"mdat", b"moov", b"moof") and position > len(data):
            return True
    return False


def _is_torn_avi(data: bytes) -> bool:
    position = 12
    while position + 8 <= len(data):
        size, kind = int.from_bytes(data[position + 4 : position + 8], "little"), data[position + 8 : position + 12]
        if kind == b"movi":
            return size not in _PLACEHOLDERS and position + 8 + size > len(data)
        position += 8 + size + size % 2
    return position > len(data)


def _is_torn_matroska(data: bytes) -> bool:
    size, position, _ = _ebml_size(data, 4)
    position += size
    if data[position : position + 4] != _SEGMENT:
        return False
    size, position, known = _ebml_size(data, position + 4)
    return known and position + size > len(data)


def _ebml_size(data: bytes, position: int) -> tuple[int, int, bool]:
    """Returns an EBML size, the position after it, and whether the size is known."""
    length = 9 - data[position : position + 1].rjust(1, b"\0")[0].bit_length()
    number = int.from_bytes(data[position : position + length], "big") & (2 ** (7 * length) - 1)
    return number, position + length, number != 2 ** (7 * length) - 1


def _is_torn_asf(data: bytes) -> bool:
    position = 0
    for _ in ("header", "data"):
        size = int.from_bytes(data[position + 16 : position + 24], "little")
        position += size
        if size < 24:  # data of a live recording
            return False
    return position > len(data)


def _is_torn_program_stream(data: bytes) -> bool:
    position = 0
    while position + 4 <= len(data) and data[position : position + 3] == b"\0\0\1":
        code = data[position + 3]
        if code == 0xBA:  # pack header of MPEG-2 or MPEG-1
            mpeg_2 = data[position + 4 : position + 5] >= b"\x40"
            position += 14 + (data[position + 13 : position + 14] or b"\0")[0] % 8 if mpeg_2 else 12
        elif code == 0xB9:  # the end
            position += 4
        elif code > 0xBA:
            position += 6 + int.from_bytes(data[position + 4 : position + 6], "big")
        else:
            return False
    return position > len(data)


def _is_torn_ogg(data: bytes) -> bool:
    """Complete files have an end flag on the last page of each stream (RFC 3533, 7845)."""
    marked: dict[bytes, bool] = {}
    end = size = 0
    for page in _OGG_PAGE.finditer(data):
        marked[page[2]] = bool(page[1][0] & _OGG_END)
        end = page.end() + page[3][0]
        size = sum(data[page.end() : end])
    return not marked or not all(marked.values()) or end + size > len(data)


def _is_torn_chunk(data: bytes, name: bytes, position: int, width: int) -> bool:
    """Tells whether chunk `name` is truncated. The first chunk is at `position`; sizes have `width` bytes."""
    while (start := position + 4 + width) <= len(data):
        size = int.from_bytes(data[position + 4 : start], "big")
        if data[position : position + 4] == name:
            return size not in _PLACEHOLDERS and start + size > len(data)
        position = start + size + (size % 2 if width == 4 else 0)
    return True


def _is_torn_rf64(data: bytes) -> bool:
    """RF64 is WAV for files above 4 GiB; the size of the samples is in the first chunk."""
    size, start = int.from_bytes(data[28:36], "little"), data.find(b"data", 36) + 8
    return start < 8 or (size not in _PLACEHOLDERS and start + size > len(data))


def _packet_bytes(data: bytes) -> int:
    """Returns the packet size of an MPEG transport stream, with or without timestamps; 0 for other files."""
    return next((n for n in (188, 192) if len(data) > 3 * n and data[n - 188 : 4 * n : n] == b"GGGG"), 0)


_CHECKS: tuple[tuple[Callable[[bytes], object], Callable[[bytes], bool]], ...] = (
    (lambda data: data[:3] == b"FLV", _is_torn_flv),
    (lambda data: data[4:8] in _BOXES, _is_torn_mp4),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"AVI ", _is_torn_avi),
    (lambda data: data[:4] == _EBML, _is_torn_matroska),
    (lambda data: data[:16] == _ASF_HEADER, _is_torn_asf),
    (lambda data: data[:4] == b"\0\0\1\xba", _is_torn_program_stream),
    (_packet_bytes, lambda data: len(data) % _packet_bytes(data) > 0),
    (lambda data: data[:4] == b"OggS", _is_torn_ogg),
    (lambda data: data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"),
     lambda data: _is_torn_chunk(data, b"SSND", 12, 4)),
    (lambda data: data[:4] == b"caff", lambda data: _is_torn_chunk(data, b"data", 8, 8)),
    (lambda data: data[:4] == b"RF64", _is_torn_rf64),
    (lambda data: data[:4] == b"fLaC" or data[:3] == b"ID3", lambda data: False),
)  # fmt: skip
"""Pairs of functions: whether a file has a format, and whether it is truncated."""
