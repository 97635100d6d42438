"""What processes and runs of a study share, on file systems without locks or symbolic links too: `held`, `take`."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from trainers.run_folder import folder_atomically

_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
"""What file systems say that have no locks, or no symbolic links (exFAT, SMB, some NFS and FUSE)."""
_SECONDS = 0.5
"""Between two looks at a lock."""


@contextlib.contextmanager
def held(folder: Path, part: str) -> Iterator[None]:
    """Keeps other processes out of a part of a study while this one works on it, and waits for one that does.

    Where the file system has no locks, a file stands for one that says who made it. What is left of a process that was killed
    is passed over on its own host; on another one somebody has to delete it.

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
            files.enter_context(_held_by_file(path.with_name(f"{path.name}.held"), what))
        yield


@contextlib.contextmanager
def _held_by_file(path: Path, what: str) -> Iterator[None]:
    mine, told = f"{os.getpid()} {socket.gethostname()}", ""
    while True:
        try:
            with path.open("x") as file:
                file.write(mine)
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):  # it has ended just now
                owner = path.read_text()
                if _is_gone(owner):
                    path.unlink()
                elif owner != told:
                    print(f"waits for another process that works on {what}; if none does, delete {path}", flush=True)
                    told = owner
            time.sleep(_SECONDS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _is_gone(owner: str) -> bool:
    """Whether it was a process of this host, and has ended."""
    number, _, host = owner.partition(" ")
    if host != socket.gethostname():
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
