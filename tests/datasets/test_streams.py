"""Endless streams: the order is a function of seed and step, and balanced classes are equally frequent."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import streams

SIZES = {"rare": 3, "medium": 7, "frequent": 20}


def stream(first_step, count=10, batch_size=4, seed=3):
    dataset = tf.data.Dataset.range(100, 100 + count)
    return streams.epochs([(dataset, count)], batch_size=batch_size, seed=seed, first_step=first_step)


def balanced(first_step=0, batch_size=4, seed=3):
    """Elements 100 n + i: the i-th of the class n."""
    sets = [(tf.data.Dataset.range(100 * n, 100 * n + size), size) for n, size in enumerate(SIZES.values())]
    return streams.epochs(sets, batch_size=batch_size, seed=seed, first_step=first_step)


def take(dataset, n):
    return [(int(number), int(item)) for number, item in dataset.take(n)]


@pytest.mark.parametrize("make", [stream, balanced])
def test_a_stream_from_step_k_is_the_rest_of_the_whole_stream(make):
    whole = take(make(0), 60)
    assert [number for number, _ in whole] == list(range(60))
    for step in (1, 5, 7, 11):  # within a pass or a round, and just at the seam of passes
        assert take(make(step), 60 - 4 * step) == whole[4 * step :]


def test_each_pass_has_every_example_once_in_its_own_order():
    items = [item for _, item in take(stream(0), 40)]
    passes = [items[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(one) == list(range(100, 110)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    assert [item for _, item in take(stream(0, seed=4), 10)] != passes[0]


@pytest.mark.parametrize("make", [stream, balanced])
def test_the_order_does_not_depend_on_the_global_seed(make):
    orders = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        orders.append(take(make(0), 30))
    assert orders[0] == orders[1]


def test_each_round_has_one_of_every_class_in_its_own_order():
    items = np.array([item for _, item in take(balanced(), 180)])
    rounds = (items // 100).reshape(60, 3)
    np.testing.assert_array_equal(np.sort(rounds), np.tile([0, 1, 2], (60, 1)))
    assert len({tuple(one) for one in rounds}) == 6  # all orders of three
    other = np.array([item for _, item in take(balanced(seed=4), 180)])
    assert (other != items).any()


def test_each_class_is_repeated_in_shuffled_passes():
    items = np.array([item for _, item in take(balanced(), 180)])
    for n, size in enumerate(SIZES.values()):
        own = items[items // 100 == n] % 100
        assert len(own) == 60
        passes = own[: 60 // size * size].reshape(-1, size)
        np.testing.assert_array_equal(np.sort(passes), np.tile(np.arange(size), (len(passes), 1)))
        assert len({tuple(one) for one in passes}) > 1


def test_streams_of_arrays():
    labels = np.repeat([0, 1, 4], [2, 3, 5])  # no item of the classes between
    items = (np.arange(10.0), np.eye(10, dtype=np.float32))
    plain = streams.array_stream(items, labels, batch_size=2, seed=1, balance=False).take(10).as_numpy_iterator()
    numbers, pairs = zip(*plain, strict=True)
    assert numbers == tuple(range(10))
    assert sorted(item for item, _ in pairs) == list(range(10))
    for item, target in pairs:
        np.testing.assert_array_equal(target, items[1][int(item)])
    settings = {"batch_size": 2, "seed": 1, "balance": True}
    even = [int(item) for _, (item, _) in streams.array_stream(items, labels, **settings).take(30)]
    assert np.bincount(labels[even]).tolist() == [10, 10, 0, 0, 10]
    later = streams.array_stream(items, labels, **settings, first_step=4)
    assert [int(item) for _, (item, _) in later.take(22)] == even[8:]


@pytest.mark.parametrize("balance", [False, True])
def test_items_with_a_negative_label_are_left_out(balance):
    labels = np.array([0, -1, 1, 1, -1])
    drawn = streams.array_stream((np.arange(5),), labels, batch_size=2, seed=1, balance=balance).take(12)
    assert {int(item) for _, (item,) in drawn} == {0, 2, 3}


def test_the_key_is_the_seed_and_the_number():
    np.testing.assert_array_equal(streams.key(7, tf.constant(2**40, tf.int64)), [7, 2**40])
