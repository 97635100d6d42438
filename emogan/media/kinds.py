"""The kinds of media files: those that are listed are those that are opened. And whether a file has its end.

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
"""How the names of files with sound alone end."""
VIDEO_SUFFIXES = frozenset(_VIDEO_KINDS)
"""How the names of files with images end."""
SUFFIXES = AUDIO_SUFFIXES | VIDEO_SUFFIXES
ARCHIVE_SUFFIX = ".zip"
DEMUXERS = frozenset((_AUDIO_KINDS | _VIDEO_KINDS).values())
"""FFmpeg's names of the containers, all of them real ones. (A text can be a playlist that names other files.)"""

_FURTHER_ARCHIVES = {".7z", ".rar", ".zst"}
"""Beside those that Python knows."""
_UNFINISHED = {".aria2", ".crdownload", ".download", ".filepart", ".opdownload", ".part", ".partial"}
"""What browsers and other programs write while they download."""
_PIECE = re.compile(r"\.(\d{3}|[rz]\d\d)|_part[a-z]{2}", re.IGNORECASE)
"""How the pieces of an archive end, those of VoxCeleb among them."""

_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"wide", b"free", b"skip"}
_PLACEHOLDERS = range(0x7FFF0000, 2**64)
"""Sizes that nobody has put right: 2 or 4 GiB, or a little less."""
_OGG_PAGE = re.compile(rb"OggS\0(.).{8}(.{4}).{8}(.)", re.DOTALL)
"""Flags, number of the stream, number of segments, whose sizes follow (RFC 3533)."""
_OGG_END = 4
_MP3_INFO = re.compile(
    rb"\xff[\xe2-\xff]..(?:..)?\0{9,32}(?:(?:Xing|Info)...[\1\3\5\7\x09\x0b\x0d\x0f]|VBRI.{10})(.{4})", re.DOTALL
)
"""The first frame of an MP3 file, without sound, where it says how many frames follow; Xing's flags are odd if it does."""


def is_of_interest(name: str) -> bool:
    """Tells by its name whether a file is media or an archive, also of a kind that is not read here, or the download of one."""
    suffix = PurePath(name).suffix.lower()
    return suffix in _suffixes_of_interest() or bool(_PIECE.fullmatch(suffix or name[-len("_partaa") :]))


@functools.cache
def _suffixes_of_interest() -> frozenset[str]:
    import av  # not needed where nothing is listed, and `import datasets` is to be quick

    types = mimetypes.MimeTypes()  # as Python knows them, whatever the machine has
    known = types.types_map[False] | types.types_map[True]
    media = {suffix for suffix, kind in known.items() if kind.startswith(("audio/", "video/"))}
    for name in sorted(av.formats_available):
        try:
            kind = av.format.ContainerFormat(name, "w")
            file = av.open(io.BytesIO(), "w", format=name)
        except (av.FFmpegError, ValueError):  # one that is only read
            continue
        suffixes = {f".{end.strip().lower()}" for end in kind.extensions}
        is_media = not kind.no_file and {file.default_video_codec, file.default_audio_codec} != {"none"}
        media = media | suffixes if is_media else media - suffixes  # of subtitles, lists and images
    images = {suffix for suffix, kind in known.items() if kind.startswith("image/")}
    archives = {f".{end.rpartition('.')[2]}" for _, ends, _ in shutil.get_unpack_formats() for end in ends}
    read = AUDIO_SUFFIXES | VIDEO_SUFFIXES | {ARCHIVE_SUFFIX}
    archives |= {suffix.lower() for suffix in types.encodings_map}
    return read | (media - images) | archives | _FURTHER_ARCHIVES | _UNFINISHED


def is_container(data: bytes) -> bool:
    """Tells whether a file begins as one of the containers do, to which AC-3, AAC (ADTS) and AMR do not belong."""
    return any(is_kind(data) for is_kind, _ in _CHECKS)


def is_cut_off(data: bytes) -> bool:
    """Tells whether a media file says itself that more should follow; FFmpeg leaves out what is torn and says nothing.

    Where a file says nothing of its size, as a live recording, or is of another kind, it counts as whole. That FLAC and MP3
    lack samples shows when they are decoded. AC-3, AAC (ADTS) and AMR are packets and nothing else: one of these files that
    ends between two packets is as good as a shorter recording, so nobody can tell.
    """
    return next((is_torn(data) for is_kind, is_torn in _CHECKS if is_kind(data)), False)


def mp3_frames(data: bytes) -> int:
    """How many frames an MP3 file says that it has; 0 where it does not, as one from a live encoder."""
    info = _MP3_INFO.search(data)
    return int.from_bytes(info[1] or b"", "big") if info else 0


def _is_torn_flv(data: bytes) -> bool:
    position = int.from_bytes(data[5:9], "big") + 4  # behind the header: its length, and the size of no tag before
    while position < len(data):  # a tag: type, 3 bytes of size, 7 of time and stream, data, 4 of the tag's size
        position += 11 + int.from_bytes(data[position + 1 : position + 4], "big") + 4
    return position != len(data)


def _is_torn_mp4(data: bytes) -> bool:
    position = 0
    while position + 8 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size < 8:  # 0: to the end of the file
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
    """A number of EBML, the place behind it, and whether it is not the one that stands for an unknown size."""
    length = 9 - data[position : position + 1].rjust(1, b"\0")[0].bit_length()
    number = int.from_bytes(data[position : position + length], "big") & (2 ** (7 * length) - 1)
    return number, position + length, number != 2 ** (7 * length) - 1


def _is_torn_asf(data: bytes) -> bool:
    position = 0
    for _ in ("header", "data"):
        size = int.from_bytes(data[position + 16 : position + 24], "little")
        position += size
        if size < 24:  # the data of a live recording
            return False
    return position > len(data)


def _is_torn_program_stream(data: bytes) -> bool:
    position = 0
    while position + 4 <= len(data) and data[position : position + 3] == b"\0\0\1":
        code = data[position + 3]
        if code == 0xBA:  # a pack's head, of MPEG-2 or MPEG-1
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
    """Each stream's last page is marked as such (RFC 3533, 7845), so that the end of a recording shows."""
    marked: dict[bytes, bool] = {}
    end = size = 0
    for page in _OGG_PAGE.finditer(data):
        marked[page[2]] = bool(page[1][0] & _OGG_END)
        end = page.end() + page[3][0]
        size = sum(data[page.end() : end])
    return not marked or not all(marked.values()) or end + size > len(data)


def _is_torn_chunk(data: bytes, name: bytes, position: int, width: int) -> bool:
    """Whether the chunk of that name ends; the first is at `position`, and sizes of `width` bytes follow the names."""
    while (begin := position + 4 + width) <= len(data):
        size = int.from_bytes(data[position + 4 : begin], "big")
        if data[position : position + 4] == name:
            return size not in _PLACEHOLDERS and begin + size > len(data)
        position = begin + size + (size % 2 if width == 4 else 0)
    return True


def _is_torn_rf64(data: bytes) -> bool:
    """A WAV file that may be larger than 4 GiB: the size of its samples is in its first chunk."""
    size, begin = int.from_bytes(data[28:36], "little"), data.find(b"data", 36) + 8
    return begin < 8 or (size not in _PLACEHOLDERS and begin + size > len(data))


def _packet_bytes(data: bytes) -> int:
    """Bytes of a packet of an MPEG transport stream, with or without the time before it; 0 for other files."""
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
"""How a kind of file is known, and how it is told that one is torn."""
