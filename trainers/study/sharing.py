"""Locks and shared stages of a study, also on file systems without locks or symbolic links. Public names: held, take."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from trainers.runs.folder import folder_atomically

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
"""Errors of file systems without locks or symbolic links (exFAT, SMB, some NFS and FUSE)."""
_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.EPERM}
"""Errors of a rename onto a folder that is not empty: of POSIX, SMB and SFTP."""
_SECONDS = 0.5
"""Time between two checks of a lock."""


@contextlib.contextmanager
def held(folder: Path, part: str) -> Iterator[None]:
    """Locks a part of a study within the context; first waits for a process that holds the lock.

    On file systems without locks, the lock is a folder that names its owner. On the same host, the lock of a killed process is
    removed; on another host or in another container, the user must delete it.

    Args:
        folder: folder of the study.
        part: part of the study; if empty, the pretraining, which all parts share.
    """
    (folder / "locks").mkdir(exist_ok=True)
    path = folder / "locks" / (part.replace("/", "-") or "pretrained")
    name = part or "the pretraining"
    with path.open("w") as lock, contextlib.ExitStack() as files:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that runs {name}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            files.enter_context(_folder_lock(path.with_name(f"{path.name}.taken"), name))
        yield


@contextlib.contextmanager
def _folder_lock(path: Path, name: str) -> Iterator[None]:
    """Locks with a folder that contains one file, named after the owner.

    Owner names are unique, so that a process cannot delete the file of another one. The folder is moved into place with its
    file, which fails while another owner's file is there.
    """
    this_owner, reported = f"{os.getpid()}_{uuid.uuid4().hex}_{_where()}", ""
    while not _acquire(path, this_owner):
        owner = _owner(path)
        if _is_gone(owner):
            (path / owner).unlink(missing_ok=True)
            continue
        if owner and owner != reported:
            print(f"waiting for another process that runs {name}; if none does, delete {path}", flush=True)
            reported = owner
        time.sleep(_SECONDS)
    try:
        yield
    finally:
        (path / this_owner).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # already acquired by another process
            path.rmdir()


def _acquire(path: Path, owner: str) -> bool:
    """Acquires the lock for `owner` if it is free, and returns whether it succeeded."""
    with contextlib.suppress(OSError):
        path.rmdir()  # left empty by a process that was killed while it released the lock
    if _owner(path):
        return False
    own = path.with_name(f"{path.name}.{owner}")
    own.mkdir()
    (own / owner).touch()
    try:
        own.rename(path)
    except OSError as error:
        shutil.rmtree(own)
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    return True


def _owner(path: Path) -> str:
    """The owner of a lock folder; empty if it is free."""
    try:
        return next((file.name for file in path.iterdir()), "")
    except FileNotFoundError:
        return ""


def _where() -> str:
    """The scope of process ids: the host and, if available, its process namespace."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/self/ns/pid').stat().st_ino}_{socket.gethostname()}"
    return socket.gethostname()


def _is_gone(owner: str) -> bool:
    """Whether the owner is a process of this scope that has ended."""
    number, _, rest = owner.partition("_")
    where = rest.partition("_")[2]
    if where != _where():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # a process of another user
        return False
    return False


def take(stage: Path, target: Path) -> None:
    """Shares a stage of another run: links to its folder, or copies it if the file system has no symbolic links.

    Args:
        stage: folder of the stage in this run; does nothing if it exists.
        target: folder of the stage in the other run; does not exist if that run has no result.
    """
    if stage.is_symlink() or stage.exists():
        return
    try:
        stage.symlink_to(os.path.relpath(target, stage.parent), target_is_directory=True)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if target.exists():
            with folder_atomically(stage) as part:
                shutil.copytree(target, part, dirs_exist_ok=True)
