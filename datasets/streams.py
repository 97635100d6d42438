"""Endless streams of examples that are functions of the seed and the step, and know no corpus.

Public names: SHUFFLE_EXAMPLES, WORKERS, epochs, array_stream, key, options.
"""

import numpy as np
import tensorflow as tf

SHUFFLE_EXAMPLES = 8_192
"""Examples among which a stream draws the next one; a smaller set is shuffled whole. At 256 pixels they take 2 GB."""

WORKERS = 2
"""Threads of each parallel step."""

_ENDLESS = tf.int64.max


def epochs(
    sets: list[tuple[tf.data.Dataset, int]], *, batch_size: int, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """Endless shuffled passes over a set of examples; or over several sets, an example of each in turn.

    Every pass over a set has an order of its own. With several sets each round takes one example of every set, the sets in
    an order of the round's own; smaller sets are gone through more often, so there is no epoch over all of them. Every
    order follows from the seed and the number of the pass or the round alone.

    Args:
        sets: the examples and their number; one such pair for each class, for instance.
        batch_size: examples per step.
        seed: of the orders.
        first_step: where the stream begins.

    Returns:
        Single elements (n, example); n, int64, is the running number of the example since step 0.
    """
    first = first_step * batch_size
    first_round, position = divmod(first, len(sets))
    drawn = [_passes(*one, seed=seed + 7_919 * n, first=first_round) for n, one in enumerate(sets)]
    turns = tf.data.Dataset.range(first_round, _ENDLESS).flat_map(lambda n: _order(len(sets), seed, n))
    examples = tf.data.Dataset.choose_from_datasets(drawn, turns).skip(position)
    return tf.data.Dataset.zip((tf.data.Dataset.range(first, _ENDLESS), examples))


def _passes(dataset: tf.data.Dataset, count: int, *, seed: int, first: int) -> tf.data.Dataset:
    """Endless shuffled passes over a dataset of `count` elements, from the element number `first` on."""

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        tf.random.set_seed(1)  # of this function's graph: otherwise the program's would have a say in the order
        return dataset.shuffle(
            min(count, SHUFFLE_EXAMPLES), seed=number * 1_000_003 + seed, reshuffle_each_iteration=False
        )

    return tf.data.Dataset.range(first // count, _ENDLESS).flat_map(one_pass).skip(first % count)


def _order(size: int, seed: int, number: tf.Tensor) -> tf.data.Dataset:
    order = tf.random.experimental.stateless_shuffle(tf.range(size, dtype=tf.int64), key(seed, number))
    return tf.data.Dataset.from_tensor_slices(order)


def key(seed: int, number: tf.Tensor) -> tf.Tensor:
    """The key of all that is drawn at random for the example with that running number: int64 [2]."""
    return tf.stack([tf.cast(seed, tf.int64), number])


def array_stream(
    items: tuple[np.ndarray, ...], labels: np.ndarray, *, batch_size: int, seed: int, first_step: int = 0, balance: bool
) -> tf.data.Dataset:
    """`datasets.corpus.Corpus.stream` of arrays [n, ...], perhaps memory-mapped files, and int labels [n] for `balance`; items
    whose label is negative are left out."""
    kept = np.unique(labels[labels >= 0])
    groups = [np.flatnonzero(labels == label) for label in kept] if balance else [np.flatnonzero(labels >= 0)]
    sets = [(tf.data.Dataset.from_tensor_slices(group), len(group)) for group in groups]
    types = [tf.as_dtype(array.dtype) for array in items]

    def item(number: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        found = tf.numpy_function(lambda n: [array[n] for array in items], [row], types, stateful=False)
        return number, tuple(tf.ensure_shape(*one) for one in zip(found, (a.shape[1:] for a in items), strict=True))

    drawn = epochs(sets, batch_size=batch_size, seed=seed, first_step=first_step)
    return drawn.map(item, num_parallel_calls=WORKERS)


def options() -> tf.data.Options:
    """Fixed parallelism, for with autotune taking an iterator down now and then stalls for seconds; and one order.

    Of several hosts each reads everything and keeps its part of every batch, which only adds up where all have one order.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
