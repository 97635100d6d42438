"""What processes and runs of a study share, on file systems without locks or symbolic links too: `held`, `take`."""

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

_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
"""What file systems say that have no locks, or no symbolic links (exFAT, SMB, some NFS and FUSE)."""
_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.EPERM}
"""What they say where a folder would be moved to one that is not empty: POSIX, and SMB and SFTP in their own words."""
_SECONDS = 0.5
"""Between two looks at a lock."""


@contextlib.contextmanager
def held(folder: Path, part: str) -> Iterator[None]:
    """Keeps other processes out of a part of a study while this one works on it, and waits for one that does.

    Where the file system has no locks, a folder stands for one that says who made it. What is left of a process that was
    killed is passed over on its own host; on another one, or in another container, somebody has to delete it.

    Args:
        folder: the study's.
        part: of the study; the pretraining, which all parts share, if it is empty.
    """
    (folder / "locks").mkdir(exist_ok=True)
    path = folder / "locks" / (part.replace("/", "-") or "pretrained")
    what = part or "the pretraining"
    with path.open("w") as lock, contextlib.ExitStack() as files:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waits for another process that works on {what}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
            files.enter_context(_held_by_folder(path.with_name(f"{path.name}.taken"), what))
        yield


@contextlib.contextmanager
def _held_by_folder(path: Path, what: str) -> Iterator[None]:
    """The lock is a folder with one file, whose name says who holds it. No name is ever used again, so that nobody can delete
    the file of another one by mistake; and a folder comes to its place with the file in it, unless it holds one there already.
    """
    mine, told = f"{os.getpid()}_{uuid.uuid4().hex}_{_where()}", ""
    while not _get(path, mine):
        owner = _owner(path)
        if _is_gone(owner):
            (path / owner).unlink(missing_ok=True)
            continue
        if owner and owner != told:
            print(f"waits for another process that works on {what}; if none does, delete {path}", flush=True)
            told = owner
        time.sleep(_SECONDS)
    try:
        yield
    finally:
        (path / mine).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the next one has it already
            path.rmdir()


def _get(path: Path, mine: str) -> bool:
    """Whether the lock was free, and now is `mine`."""
    with contextlib.suppress(OSError):
        path.rmdir()  # what somebody left who was killed as he gave it up
    if _owner(path):
        return False
    own = path.with_name(f"{path.name}.{mine}")
    own.mkdir()
    (own / mine).touch()
    try:
        own.rename(path)
    except OSError as error:
        shutil.rmtree(own)
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    return True


def _owner(path: Path) -> str:
    """The name of the file in the folder; nothing where there is none."""
    try:
        return next((file.name for file in path.iterdir()), "")
    except FileNotFoundError:
        return ""


def _where() -> str:
    """Where process numbers mean the same: the host and, where there are such, its namespace of processes."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/self/ns/pid').stat().st_ino}_{socket.gethostname()}"
    return socket.gethostname()


def _is_gone(owner: str) -> bool:
    """Whether it was a process that could be seen from here, and has ended."""
    number, _, rest = owner.partition("_")
    where = rest.partition("_")[2]
    if where != _where():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # of another user
        return False
    return False


def take(stage: Path, target: Path) -> None:
    """Makes a run's stage what another run has done: a link to it, or a copy where the file system has no links.

    Args:
        stage: its folder in the run; nothing is done where it is there.
        target: the stage's folder in the run that did it; there is none where that has no result.
    """
    if stage.is_symlink() or stage.exists():
        return
    try:
        stage.symlink_to(os.path.relpath(target, stage.parent), target_is_directory=True)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        if target.exists():
            with folder_atomically(stage) as part:
                shutil.copytree(target, part, dirs_exist_ok=True)
