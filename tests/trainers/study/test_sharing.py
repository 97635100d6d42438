"""Studies on file systems without symbolic links and locks."""

import errno
import fcntl
import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

from trainers.study import sharing
from trainers.study.sharing import held, take


@pytest.fixture
def refuse(monkeypatch):
    """Makes a system call fail as on a file system that does not support it."""

    def refuse(module, name, number=errno.EPERM):
        def fail(*_, **__):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(module, name, fail)

    return refuse


@pytest.fixture
def run_and_target(tmp_path):
    (tmp_path / "one" / "pretrain" / "generator").mkdir(parents=True)
    (tmp_path / "one" / "pretrain" / "generator" / "weights").write_text("w")
    (tmp_path / "other").mkdir()
    return tmp_path / "other" / "pretrain", tmp_path / "one" / "pretrain"


@pytest.mark.parametrize("links", [True, False])
def test_a_shared_stage_is_a_link_or_a_copy(run_and_target, refuse, links):
    stage, target = run_and_target
    if not links:
        refuse(os, "symlink")
    for _ in range(2):
        take(stage, target)
        assert stage.is_symlink() == links
        assert (stage / "generator" / "weights").read_text() == "w"
    assert not list(stage.parent.glob("*.part"))


def test_a_study_copied_without_its_links_resumes(run_and_target):
    stage, target = run_and_target
    stage.mkdir()
    take(stage, target)
    assert not stage.is_symlink()


def test_what_has_no_result_is_not_copied(run_and_target, refuse):
    refuse(os, "symlink", errno.EOPNOTSUPP)
    stage, target = run_and_target
    take(stage, target.with_name("nothing"))
    assert not stage.exists()


def test_other_faults_are_not_taken_for_a_file_system_without_links(run_and_target, refuse):
    refuse(os, "symlink", errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        take(*run_and_target)


@pytest.mark.parametrize("locks", [True, False])
def test_a_part_is_held_by_one_at_a_time(tmp_path, refuse, monkeypatch, capsys, locks):
    monkeypatch.setattr(sharing, "_SECONDS", 0.01)
    if not locks:
        refuse(fcntl, "flock", errno.ENOLCK)
    order, holds = [], threading.Event()

    def other():
        holds.wait()
        with held(tmp_path, "crema_d_av/fold_0"):
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with held(tmp_path, "crema_d_av/fold_0"), held(tmp_path, "crema_d_av/fold_1"):
        holds.set()
        thread.join(0.3)
        order.append("this")
    thread.join()
    assert order == ["this", "other"]
    assert "waiting for another process that runs crema_d_av/fold_0" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.taken*"))


def test_a_lock_without_owner_is_free(tmp_path, refuse):
    """A folder without a file: its owner was killed while it released the lock."""
    refuse(fcntl, "flock", errno.ENOLCK)
    (tmp_path / "locks" / "pretrained.taken").mkdir(parents=True)
    with held(tmp_path, ""):
        pass
    assert not list(tmp_path.rglob("*.taken*"))


RACE = """
import contextlib, errno, fcntl, os, random, sys, time
from pathlib import Path
from trainers.study import sharing

def fail(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

def look_slowly(*what, look=os.kill):
    try:
        look(*what)
    finally:
        time.sleep(random.uniform(0, 0.01))  # widens the window between the check of the owner and the next step

fcntl.flock, os.kill, sharing._SECONDS, folder = fail, look_slowly, 0.0005, Path(sys.argv[1])
parts = [str(number) for number in range(50)]

def start(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    finally:
        os._exit(1)

def hold_all_and_end():
    with contextlib.ExitStack() as stack:
        for part in parts:
            stack.enter_context(sharing.held(folder, part))
        os._exit(0)  # like a killed process

def hold_each():
    for part in parts:
        with sharing.held(folder, part):
            inside = folder / f"{part}.inside"
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            with (folder / f"{part}.log").open("a") as log:
                log.write("x")
            time.sleep(0.002)
            inside.unlink()

os.waitpid(start(hold_all_and_end), 0)
print(*sorted(path.name for path in folder.glob("locks/*.taken/*")), sep="\\n")
sys.exit(any([os.waitpid(child, 0)[1] for child in [start(hold_each) for _ in range(4)]]))
"""


def test_processes_that_take_over_the_locks_of_a_killed_one_never_hold_one_together(tmp_path):
    result = subprocess.run([sys.executable, "-c", RACE, tmp_path], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) >= 50  # the locks of the killed process
    assert [path.read_text() for path in tmp_path.glob("*.log")] == 50 * [4 * "x"]
    assert not list((tmp_path / "locks").glob("*.taken*"))


@pytest.mark.parametrize("where", ["elsewhere.invalid", f"1_{socket.gethostname()}"])
def test_the_lock_of_another_host_or_container_is_waited_for_and_its_folder_named(
    tmp_path, refuse, monkeypatch, capsys, where
):
    refuse(fcntl, "flock", errno.ENOLCK)
    folder, looks = tmp_path / "locks" / "pretrained.taken", itertools.count(1)
    folder.mkdir(parents=True)
    (folder / f"{2**22 + 1}_a_{where}").touch()  # larger than any process id

    def look(_):
        if next(looks) == 3:
            shutil.rmtree(folder)

    monkeypatch.setattr(time, "sleep", look)
    with held(tmp_path, ""):
        assert capsys.readouterr().out.count(f"delete {folder}") == 1


@pytest.mark.slow
def test_a_study_is_done_without_links_and_locks(study_flags, tmp_path):
    without = """
import errno, fcntl, os, runpy, sys
def fail(*_, **__):
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
os.symlink = fcntl.flock = fail
runpy.run_module("trainers.table1", run_name="__main__", alter_sys=True)
"""
    flags = [*study_flags, "--workers=1", "--folds=0", f"--study_dir={tmp_path / 'study'}"]
    result = subprocess.run([sys.executable, "-c", without, *flags], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    case = tmp_path / "study" / "crema_d_av" / "fold_0" / "seed_1" / "progressive_supervised"
    assert (case / "pretrain" / "generator" / "saved_model.pb").is_file()
    assert not [path for path in (tmp_path / "study").rglob("*") if path.is_symlink()]
