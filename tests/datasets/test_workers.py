"""The pool of processes: the same results as without, in order, and an end when a process dies."""

import functools
import multiprocessing
import operator

import pytest

from datasets import workers
from datasets.workers import Workers
from emogan.errors import UserError

POWER = functools.partial(operator.pow, 2)


@pytest.mark.parametrize(("count", "items"), [(1, 300), (2, 20)])
def test_little_work_and_one_worker_need_no_processes(count, items):
    with Workers(count) as pool:
        assert list(pool.map(POWER, range(items))) == [2**number for number in range(items)]
        assert not multiprocessing.active_children()


@pytest.mark.slow
def test_processes_give_the_same_results_and_their_death_ends_the_work():
    with Workers(2) as pool:
        assert list(pool.map(POWER, range(workers.MIN_ITEMS))) == [2**number for number in range(workers.MIN_ITEMS)]
        assert list(pool.map(POWER, range(3))) == [1, 2, 4]
        children = multiprocessing.active_children()
        assert len(children) == 2
        for process in children:
            process.kill()
        with pytest.raises(UserError, match=r"a worker process died; .* fewer --workers"):
            list(pool.map(POWER, range(300)))
    assert not multiprocessing.active_children()
