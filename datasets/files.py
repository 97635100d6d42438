"""Reads the files of a corpus, from disk or from zip archives.

Public names: archive_of, exists, size, same, read, members, walk, printable. The path of an archive's member is the archive's
path followed by the member's name: `Video_Speech_Actor_01.zip/Actor_01/01-01-01-01-01-01-01.mp4`.
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
# Exceptions of zipfile and its decompressors for damaged data.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError
)  # fmt: skip


def archive_of(path: Path) -> Path | None:
    """Returns the zip archive that `path` is a member of, or None."""
    return next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)


def exists(path: Path) -> bool:
    """Returns whether a file or member of an archive exists."""
    archive = None if path.exists() else archive_of(path)
    return path.exists() if archive is None else path in members(archive)


def size(path: Path) -> int | None:
    """Returns the bytes of a file, or of a member of an archive when unpacked; None if it cannot be read."""
    try:
        archive = None if path.exists() else archive_of(path)
        if archive is None:
            return path.stat().st_size
        with _open_zip(archive) as file:
            return _info(archive, file, path).file_size
    except (OSError, MediaError):
        return None


def same(one: Path, other: Path) -> bool:
    """Returns whether two files or members have the same size and CRC-32; False if one cannot be read."""
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
    """Returns a path as valid UTF-8 text; other bytes are escaped, as in `M\\xfcller`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def walk(folder: Path, is_wanted: Callable[[str], bool], on_skip: Callable[[Path, str], None]) -> Iterator[Path]:
    """Yields files below a folder, in any order. Follows links; skips names that begin with a full stop.

    Args:
        folder: the top folder.
        is_wanted: returns whether a file with this name is yielded.
        on_skip: called with each folder or link that cannot be followed, and the reason.
    """
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            on_skip(current, f"cannot be read: {error.strerror}")
            continue
        for entry in entries:
            path = current / entry.name
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                if error.errno != errno.ELOOP:
                    on_skip(path, f"cannot be followed: {error.strerror}")
                    continue
                is_folder = False  # a link to itself
            if is_folder:
                if entry.is_symlink() and _is_loop(path, folder):
                    on_skip(path, "link to a folder that contains it")
                else:
                    pending.append(path)
            elif is_wanted(entry.name):
                yield path
            elif entry.is_symlink() and not os.path.exists(path):  # noqa: PTH110, since pathlib raises
                on_skip(path, "broken link")


def _is_loop(link: Path, folder: Path) -> bool:
    """Returns whether a link in or below `folder` leads to a folder that contains it, directly or through other links."""
    target = link.resolve()
    parents = [parent for parent in link.parents if parent.is_relative_to(folder)]
    return any(parent.resolve().is_relative_to(target) for parent in parents)


def members(archive: Path) -> list[Path]:
    """Returns the paths of the files in a zip archive, in its order. Backslashes in names count as slashes.

    Raises:
        MediaError: `not_a_zip` if it is not a readable archive, `unsafe_name` if a name leads out of the archive,
            `no_permission`.
    """
    with _open_zip(archive) as file:
        return list(_infos(archive, file))


def read(path: Path) -> bytes:
    """Reads a file, or a member of a zip archive, of at most MAX_FILE_BYTES.

    Raises:
        MediaError: `too_large`, `empty`, `git_lfs_pointer`, `no_permission`, `missing`; of a member also `truncated` if it is
            damaged, and `ambiguous_name` if the archive has different members of this name.
    """
    try:
        archive = None if path.exists() else archive_of(path)
        data = _read_file(path) if archive is None else _read_member(archive, path)
    except PermissionError as error:
        raise MediaError(path, "no_permission", "no permission to read the file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(path, "missing", "there is no such file") from error
    if not data:
        raise MediaError(path, "empty", "the file has 0 bytes")
    if data.startswith(_LFS_POINTER):
        raise MediaError(path, "git_lfs_pointer", "a Git LFS pointer instead of the file; run `git lfs pull`")
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
                return member.read(info.file_size)  # bounded, because damaged data may unpack to more
        except (*_DAMAGED, OSError) as error:
            raise MediaError(path, "truncated", f"damaged in the archive ({error}); download it again") from error


def _info(archive: Path, file: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Returns the entry of a member. Raises FileNotFoundError, and MediaError: `ambiguous_name`."""
    infos = _infos(archive, file).get(path, [])
    if not infos:
        raise FileNotFoundError(path)
    if len({(info.CRC, info.file_size) for info in infos}) > 1:
        names = ", ".join(repr(info.orig_filename) for info in infos)
        detail = f"the archive has {len(infos)} different files of this name ({names}); unpack it and keep one"
        raise MediaError(path, "ambiguous_name", detail)
    return infos[-1]


def _infos(archive: Path, file: zipfile.ZipFile) -> dict[Path, list[zipfile.ZipInfo]]:
    """Returns the entries of all members by path; a path may have several, such as `A/1.mp4` and `A\\1.mp4`."""
    infos: dict[Path, list[zipfile.ZipInfo]] = {}
    for info in file.infolist():
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            detail = f"the member {info.filename!r} leads out of the archive, which is not used; download it again"
            raise MediaError(archive, "unsafe_name", detail)
        if not name.endswith("/"):
            infos.setdefault(archive / name, []).append(info)
    return infos


def _open_zip(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except PermissionError as error:
        raise MediaError(archive, "no_permission", "no permission to read the file") from error
    except (*_DAMAGED, OSError) as error:
        detail = f"not a readable zip archive ({error}); if its download is incomplete, download it again"
        raise MediaError(archive, "not_a_zip", detail) from error


def _check_size(path: Path, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise MediaError(path, "too_large", f"{size:,} bytes; must be at most {MAX_FILE_BYTES:,}")
