"""The pool of processes gives the same results as a loop, in order, even if processes crash."""

import functools
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from datasets import workers
from datasets.workers import Workers
from emogan.errors import UserError

POWER = functools.partial(operator.pow, 2)


@pytest.fixture
def own_processes(monkeypatch):
    """Makes the pool use processes even for few items; they start without TensorFlow, in a second."""
    monkeypatch.setattr(workers, "MIN_ITEMS", 0)
    monkeypatch.setattr(workers, "ITEMS_PER_PROCESS", 2)
    monkeypatch.setattr(workers, "use_one_thread", os.getpid)


def run(function, *arguments):
    return functools.partial(function, *arguments)


def do_all(count, work, give_up=None):
    with Workers(count) as pool:
        return list(pool.map(operator.call, work, give_up))


def interrupt(result):
    raise KeyboardInterrupt


def describe(item, reason, detail):
    return reason, detail


@pytest.mark.parametrize(("count", "items"), [(1, 300), (2, 20)])
def test_few_items_or_one_worker_need_no_processes(count, items):
    with Workers(count) as pool:
        assert list(pool.map(POWER, range(items))) == [2**number for number in range(items)]
        assert not multiprocessing.active_children()


@pytest.mark.parametrize("count", [2, 3])
def test_processes_give_the_same_results(own_processes, count):
    with Workers(count) as pool:
        assert list(pool.map(POWER, [])) == []
        assert not multiprocessing.active_children()
        assert list(pool.map(POWER, range(50))) == [2**number for number in range(50)]
        assert list(pool.map(POWER, range(3))) == [1, 2, 4]  # the processes are there already
        children = multiprocessing.active_children()
        assert len(children) == count
        for process in children:
            process.kill()  # idle processes are replaced
        assert list(pool.map(POWER, range(3))) == [1, 2, 4]
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_tensorflow_has_one_thread_in_a_process():
    work = [tf.config.threading.get_intra_op_parallelism_threads] * workers.MIN_ITEMS
    assert do_all(2, work) == [1] * workers.MIN_ITEMS


def test_items_that_crash_or_block_their_process_are_given_up(own_processes, monkeypatch):
    monkeypatch.setattr(workers, "MAX_ITEM_SECONDS", 2.0)
    work = [
        run(abs, -1),
        run(signal.raise_signal, signal.SIGSEGV),
        run(os._exit, 3),
        run(abs, -2),
        run(time.sleep, 1000),
        run(sum, range(10**12)),  # a loop in C, which no Python signal handler can interrupt
        run(abs, -3),
    ]
    assert do_all(2, work, describe) == [
        1,
        ("crashed", "its worker process ended (SIGSEGV)"),
        ("crashed", "its worker process ended (exit code 3)"),
        2,
        ("too_slow", "processing takes longer than 2 s"),
        ("too_slow", "processing takes longer than 2 s"),
        3,
    ]


DIE_ONCE = """
import os, signal
try:
    os.mkdir({path!r})
except FileExistsError:
    pass
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""
LOGGED = """
import os, time
with open({log!r}, "a") as log:
    print("begin", {name!r}, file=log, flush=True)
    {what}
    print("end", {name!r}, file=log, flush=True)
"""


def test_a_crashed_item_is_retried_alone(own_processes, tmp_path):
    """The system kills a process when memory runs out, which need not be caused by its item."""
    log = tmp_path / "log"
    logged = functools.partial(LOGGED.format, log=str(log))
    sleep = [run(exec, logged(name=str(number), what="time.sleep(0.1)")) for number in range(8)]
    die = run(exec, DIE_ONCE.format(path=str(tmp_path / "tried")) + logged(name="again", what="time.sleep(0.5)"))
    assert do_all(3, [sleep[0], die, *sleep[1:]]) == [None] * 9
    lines = log.read_text().splitlines()
    assert lines.index("end again") == lines.index("begin again") + 1
    assert len(lines) == 18


def test_without_give_up_a_crash_is_an_error_with_a_remedy(own_processes):
    die = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(UserError, match=r"ended \(SIGKILL, .*memory\); .* fewer --workers"):
        do_all(2, [run(exec, die)])


def test_a_process_that_cannot_start(own_processes, monkeypatch):
    monkeypatch.setattr(workers, "use_one_thread", run(os._exit, 5))
    with pytest.raises(UserError, match=r"could not start: .* \(exit code 5\); .* fewer --workers"):
        do_all(2, [run(abs, -1)], describe)


def test_an_exception_is_raised_with_the_workers_traceback(own_processes):
    with Workers(2) as pool:
        results = pool.map(operator.call, [run(abs, -1), run(int, "x"), run(abs, -2)], describe)
        assert next(results) == 1
        with pytest.raises(ValueError, match="invalid literal for int") as caught:
            next(results)
        assert "In a worker process:\nTraceback" in caught.value.__notes__[0]
        assert list(pool.map(operator.call, [run(abs, -3)])) == [3]  # the process goes on


def test_an_error_in_the_caller_ends_busy_processes_at_once(own_processes):
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Workers(2) as pool:
        next(map(interrupt, pool.map(operator.call, [run(abs, -1), *[run(time.sleep, 1000)] * 20])))
    assert time.monotonic() - start < 60
    assert not multiprocessing.active_children()


PARENT = """
import os, signal, threading, time
from datasets.processes import Process

if __name__ == "__main__":
    process = Process(os.getpid)
    print(process.run(eval, "__import__('os').getpid()", 60), flush=True)
    threading.Thread(target=process.run, args=(time.sleep, 1000, 2000), daemon=True).start()
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_busy_process_ends_with_its_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    killed = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    process = Path("/proc") / killed.stdout.strip()
    deadline = time.monotonic() + 30
    while process.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.exists()
