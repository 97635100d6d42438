"""Reads the files of a corpus, also those that still lie in a zip archive.

Public names: archive_of, exists, size, same, read, members, walk, printable. The path of a member is that of the
archive and the member's name within it: `Video_Speech_Actor_01.zip/Actor_01/01-01-01-01-01-01-01.mp4`.
"""

import errno
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from emogan.errors import MediaError

MAX_FILE_BYTES = 128 * 2**20

_CHUNK_BYTES = 2**20
_LFS_POINTER = b"version https://git-lfs"
# What zipfile and its decompressors raise for bytes that are not as they should be.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError
)  # fmt: skip


def archive_of(path: Path) -> Path | None:
    """The zip archive that `path` is a member of, or None where `path` is not within an archive."""
    return next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)


def exists(path: Path) -> bool:
    """Tells whether there is such a file, or such a member of an archive."""
    archive = None if path.exists() else archive_of(path)
    return path.exists() if archive is None else path in members(archive)


def size(path: Path) -> int | None:
    """Bytes of a file, or of a member of an archive when it is unpacked; None where there is no such file to read."""
    try:
        archive = None if path.exists() else archive_of(path)
        if archive is None:
            return path.stat().st_size
        with _open_zip(archive) as file:
            return _info(archive, file, path).file_size
    except (OSError, MediaError):
        return None


def same(one: Path, other: Path) -> bool:
    """Tells whether two files, or members of archives, hold the same, by size and CRC-32; not where one cannot be read."""
    if size(one) is None or size(one) != size(other):
        return False
    try:
        return one == other or _crc_32(one) == _crc_32(other)
    except (OSError, MediaError):
        return False


def _crc_32(path: Path) -> int:
    archive = None if path.exists() else archive_of(path)
    if archive is not None:
        with _open_zip(archive) as file:
            return _info(archive, file, path).CRC
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def printable(path: Path | str) -> str:
    """A path as text that UTF-8 can hold: bytes of a name that are none are written as in `M\\xfcller`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def walk(folder: Path, is_wanted: Callable[[str], bool], pass_over: Callable[[Path, str], None]) -> Iterator[Path]:
    """The files of some names below a folder, also those behind links, in any order; none that begins with a full stop.

    Args:
        folder: where to begin.
        is_wanted: tells of the name of a file whether it is wanted.
        pass_over: is told of each folder or link that cannot be followed, and why.
    """
    ways = [folder]
    while ways:
        here = ways.pop()
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            pass_over(here, f"cannot be read: {error.strerror}")
            continue
        for entry in entries:
            path = here / entry.name
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                if error.errno != errno.ELOOP:
                    pass_over(path, f"cannot be followed: {error.strerror}")
                    continue
                is_folder = False  # a link to itself
            if is_folder:
                if entry.is_symlink() and _leads_back(path, folder):
                    pass_over(path, "a link to a folder that it lies in")
                else:
                    ways.append(path)
            elif is_wanted(entry.name):
                yield path
            elif entry.is_symlink() and not os.path.exists(path):  # noqa: PTH110, since pathlib raises
                pass_over(path, "a link that leads nowhere")


def _leads_back(link: Path, folder: Path) -> bool:
    """Tells whether a link in `folder`, or below, leads to a folder that it lies in, be it by way of other links."""
    target = link.resolve()
    around = [parent for parent in link.parents if parent.is_relative_to(folder)]
    return any(parent.resolve().is_relative_to(target) for parent in around)


def members(archive: Path) -> list[Path]:
    """The paths of the files in a zip archive, in its order. Backslashes in names, as some programs write, are slashes.

    Raises:
        MediaError: `not_a_zip` where it cannot be read as one, `unsafe_name` where a name climbs out of the archive,
            `no_permission`.
    """
    with _open_zip(archive) as file:
        return list(_infos(archive, file))


def read(path: Path) -> bytes:
    """Reads a file, or a member of a zip archive, of at most MAX_FILE_BYTES.

    Raises:
        MediaError: `too_large`, `empty`, `git_lfs_pointer`, `no_permission`, `missing`; of a member `truncated` where it is
            damaged, and `ambiguous_name` where the archive has several of its name that differ.
    """
    try:
        archive = None if path.exists() else archive_of(path)
        data = _read_file(path) if archive is None else _read_member(archive, path)
    except PermissionError as error:
        raise MediaError(path, "no_permission", "the file may not be read by this user") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(path, "missing", "there is no such file") from error
    if not data:
        raise MediaError(path, "empty", "the file has 0 bytes")
    if data.startswith(_LFS_POINTER):
        raise MediaError(path, "git_lfs_pointer", "a pointer of Git LFS, not the file itself; run `git lfs pull`")
    return data


def _read_file(path: Path) -> bytes:
    _check_size(path, path.stat().st_size)
    return path.read_bytes()


def _read_member(archive: Path, path: Path) -> bytes:
    with _open_zip(archive) as file:
        info = _info(archive, file, path)
        _check_size(path, info.file_size)
        try:
            with file.open(info) as member:
                return member.read(info.file_size)  # no more than that, whatever the data would unpack to
        except (*_DAMAGED, OSError) as error:
            raise MediaError(path, "truncated", f"the archive is damaged here ({error}); download it again") from error


def _info(archive: Path, file: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """What the archive says of one of its files. Raises FileNotFoundError, and MediaError: `ambiguous_name`."""
    infos = _infos(archive, file).get(path, [])
    if not infos:
        raise FileNotFoundError(path)
    if len({(info.CRC, info.file_size) for info in infos}) > 1:
        names = ", ".join(repr(info.orig_filename) for info in infos)
        detail = (
            f"the archive holds {len(infos)} files of this name that differ ({names}); unpack it and keep the right one"
        )
        raise MediaError(path, "ambiguous_name", detail)
    return infos[-1]


def _infos(archive: Path, file: zipfile.ZipFile) -> dict[Path, list[zipfile.ZipInfo]]:
    """What the archive says of each of its files, by path; it may have several of one, as `A/1.mp4` and `A\\1.mp4`."""
    infos: dict[Path, list[zipfile.ZipInfo]] = {}
    for info in file.infolist():
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            detail = (
                f"the member {info.filename!r} points out of the archive, so nothing of it is used; download it again"
            )
            raise MediaError(archive, "unsafe_name", detail)
        if not name.endswith("/"):
            infos.setdefault(archive / name, []).append(info)
    return infos


def _open_zip(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except PermissionError as error:
        raise MediaError(archive, "no_permission", "the file may not be read by this user") from error
    except (*_DAMAGED, OSError) as error:
        detail = f"it cannot be read as a zip archive ({error}); if its download did not end, download it again"
        raise MediaError(archive, "not_a_zip", detail) from error


def _check_size(path: Path, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise MediaError(path, "too_large", f"{size:,} bytes; at most {MAX_FILE_BYTES:,}")
