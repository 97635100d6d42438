"""Endless streams of examples, as functions of the seed and the step, independent of any corpus.

Public names: SHUFFLE_EXAMPLES, WORKERS, epochs, array_stream, key, options.
"""

import numpy as np
import tensorflow as tf

SHUFFLE_EXAMPLES = 8_192
"""Size of the shuffle buffer, examples; a smaller set is shuffled completely. At 256 pixels it takes 2 GB."""

WORKERS = 2
"""Threads of each parallel map."""

_ENDLESS = tf.int64.max


def epochs(
    sets: list[tuple[tf.data.Dataset, int]], *, batch_size: int, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """Returns endless shuffled passes over a set of examples; or over several sets, with an example of each in turn.

    Each pass over a set has its own order. With several sets, each round takes one example of every set, in an order of the
    sets that differs from round to round; smaller sets are repeated more often, so there is no epoch over all sets. Every
    order is a function of the seed and of the number of the pass or round.

    Args:
        sets: pairs of a dataset and its number of examples; for instance one pair per class.
        batch_size: examples per step.
        seed: of the orders.
        first_step: the step at which the stream begins.

    Returns:
        Single elements (n, example); n, int64, is the running number of the example from step 0.
    """
    first = first_step * batch_size
    first_round, position = divmod(first, len(sets))
    drawn = [_passes(*one, seed=seed + 7_919 * n, first=first_round) for n, one in enumerate(sets)]
    turns = tf.data.Dataset.range(first_round, _ENDLESS).flat_map(lambda n: _order(len(sets), seed, n))
    examples = tf.data.Dataset.choose_from_datasets(drawn, turns).skip(position)
    return tf.data.Dataset.zip((tf.data.Dataset.range(first, _ENDLESS), examples))


def _passes(dataset: tf.data.Dataset, count: int, *, seed: int, first: int) -> tf.data.Dataset:
    """Returns endless shuffled passes over a dataset of `count` elements, from the element number `first` on."""

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        tf.random.set_seed(1)  # of this function's graph, so that the order does not depend on the program's seed
        return dataset.shuffle(
            min(count, SHUFFLE_EXAMPLES), seed=number * 1_000_003 + seed, reshuffle_each_iteration=False
        )

    return tf.data.Dataset.range(first // count, _ENDLESS).flat_map(one_pass).skip(first % count)


def _order(size: int, seed: int, number: tf.Tensor) -> tf.data.Dataset:
    order = tf.random.experimental.stateless_shuffle(tf.range(size, dtype=tf.int64), key(seed, number))
    return tf.data.Dataset.from_tensor_slices(order)


def key(seed: int, number: tf.Tensor) -> tf.Tensor:
    """Returns the key of all random draws for the example with this running number: int64 [2]."""
    return tf.stack([tf.cast(seed, tf.int64), number])


def array_stream(
    items: tuple[np.ndarray, ...], labels: np.ndarray, *, batch_size: int, seed: int, first_step: int = 0, balance: bool
) -> tf.data.Dataset:
    """Returns a stream like `datasets.corpus.Corpus.stream`, of arrays [n, ...] (may be memory-mapped). `labels`, int [n], are
    for `balance`; items with a negative label are left out."""
    classes = np.unique(labels[labels >= 0])
    groups = [np.flatnonzero(labels == label) for label in classes] if balance else [np.flatnonzero(labels >= 0)]
    sets = [(tf.data.Dataset.from_tensor_slices(group), len(group)) for group in groups]
    types = [tf.as_dtype(array.dtype) for array in items]

    def item(number: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        values = tf.numpy_function(lambda n: [array[n] for array in items], [row], types, stateful=False)
        return number, tuple(tf.ensure_shape(*one) for one in zip(values, (a.shape[1:] for a in items), strict=True))

    drawn = epochs(sets, batch_size=batch_size, seed=seed, first_step=first_step)
    return drawn.map(item, num_parallel_calls=WORKERS)


def options() -> tf.data.Options:
    """Returns options for fixed parallelism and a deterministic order.

    With autotuning, deleting an iterator sometimes stalls for seconds. Of several hosts, each reads everything and keeps its
    part of every batch, which requires the same order on all hosts.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
