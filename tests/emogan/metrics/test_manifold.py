"""Precision, recall, density and coverage by hand and compared with plain loops; a collapsed set is detected."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from emogan.errors import UserError
from emogan.metrics import manifold as module
from emogan.metrics.manifold import Manifold, manifold, manifold_halves


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def line(*points):
    return np.array(points, dtype=float)[:, np.newaxis]


def figures(result):
    return pytest.approx(dataclasses.asdict(result))


def asdict(precision, recall, density, coverage):
    return {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


def by_loops(real, generated, k):
    def distance(a, b):
        return np.sqrt(np.sum((a.astype(float) - b.astype(float)) ** 2))

    def radius(own, i):
        return sorted(distance(own[i], other) for j, other in enumerate(own) if j != i)[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    generated_radii = [radius(generated, j) for j in range(len(generated))]
    pairs = [[distance(r, g) for g in generated] for r in real]
    in_real = [[d <= real_radii[i] for d in row] for i, row in enumerate(pairs)]
    in_generated = [[d <= generated_radii[j] for j, d in enumerate(row)] for row in pairs]
    return asdict(
        precision=sum(any(column) for column in zip(*in_real, strict=True)) / len(generated),
        recall=sum(any(row) for row in in_generated) / len(real),
        density=sum(sum(row) for row in in_real) / (k * len(generated)),
        coverage=sum(any(row) for row in in_real) / len(real),
    )


def test_by_hand_with_the_nearest_neighbour():
    # Balls of the real points: 0 +- 1, 1 +- 1, 3 +- 2, 7 +- 4; 0.5 is in the first two, 1.5 in the second and third.
    # Balls of the generated points: each +- 1; 0 and 1 are in that of 0.5, 3 and 7 in none.
    result = manifold(line(0, 1, 3, 7), line(0.5, 1.5, 20, 21), k=1)
    assert figures(result) == asdict(precision=2 / 4, recall=2 / 4, density=4 / (1 * 4), coverage=3 / 4)


def test_by_hand_with_the_second_neighbour():
    # Balls of the real points: 0 +- 3, 1 +- 2, 3 +- 3, 7 +- 6; 0.5 is in the first three, 1.5 in all.
    # The ball of the generated 20 reaches to 0.5 and further from 0.5 to 20, so all real points are in a ball.
    result = manifold(line(0, 1, 3, 7), line(0.5, 1.5, 20, 21), k=2)
    assert figures(result) == asdict(precision=2 / 4, recall=1, density=7 / (2 * 4), coverage=1)


def test_the_border_belongs_to_the_ball():
    # 0 +- 2 and 2 +- 2; -2 and 4 lie on a border each, 5 outside.
    assert manifold(line(0, 2), line(-2, 4, 5), k=1).precision == pytest.approx(2 / 3)


@pytest.mark.parametrize(("n", "m", "k"), [(12, 9, 1), (9, 14, 3), (15, 15, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_plain_loops(rng, n, m, k, dtype):
    real, generated = rng.normal(size=(n, 3)).astype(dtype), rng.normal(0.7, 0.6, size=(m, 3)).astype(dtype)
    assert figures(manifold(real, generated, k=k)) == by_loops(real, generated, k)


def test_blocks_do_not_change_the_metrics(rng, monkeypatch):
    real, generated = rng.normal(size=(40, 3)), rng.normal(0.5, 0.8, size=(33, 3))
    whole = manifold(real, generated)
    monkeypatch.setattr(module, "_BLOCK_DISTANCES", 7 * 40)
    assert manifold(real, generated) == whole


def test_memory_does_not_grow_with_the_number_of_pairs(rng):
    real, generated = rng.normal(size=(2, 4000, 2))
    tracemalloc.start()
    manifold(real, generated)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6  # all pairs at once would take 128 MB


@pytest.mark.parametrize("offset", [0, 1e4])
def test_a_copy_of_the_real_set(rng, offset):
    # Each item is in its own ball and in k others on average: those to whose k nearest it belongs.
    real = offset + rng.normal(size=(100, 6))
    result = manifold(real, real[rng.permutation(100)], k=5)
    assert figures(result) == asdict(precision=1, recall=1, density=6 / 5, coverage=1)


def test_independent_sets_of_one_distribution_have_the_expected_values(rng):
    # A generated item is as likely as any other among the k nearest of n: density 1. A real item is not covered where
    # the k nearest of the n - 1 + m others are all real.
    n, m, k = 100, 70, 5
    results = [manifold(rng.normal(size=(n, 4)), rng.normal(size=(m, 4)), k=k) for _ in range(200)]
    uncovered = np.prod([(n - 1 - i) / (n - 1 + m - i) for i in range(k)])
    assert np.mean([result.density for result in results]) == pytest.approx(1, abs=0.025)
    assert np.mean([result.coverage for result in results]) == pytest.approx(1 - uncovered, abs=0.01)


def test_a_collapsed_set_keeps_precision_and_loses_recall_and_coverage(rng):
    real = rng.normal(size=(300, 4))
    result = manifold(real, 0.01 * rng.normal(size=(300, 4)))
    assert result.precision == 1
    assert result.density > 0.5
    assert result.recall < 0.02
    assert result.coverage < 0.15


def test_one_image_for_all_has_no_recall(rng):
    result = manifold(rng.normal(size=(300, 4)), np.full((300, 4), 0.1, dtype=np.float32))
    assert (result.precision, result.recall) == (1, 0)
    assert result.coverage < 0.15


def test_a_distant_set_has_zeros(rng):
    result = manifold(rng.normal(size=(50, 4)), 100 + rng.normal(size=(50, 4)))
    assert figures(result) == asdict(0, 0, 0, 0)


def test_halves_are_means_of_random_halves(rng):
    real, generated = rng.normal(size=(31, 3)), rng.normal(0.5, 0.7, size=(31, 3))
    order = np.random.default_rng(4)
    expected = []
    for _ in range(3):
        split = order.permutation(31)
        first, second = split[:15], split[15:30]
        expected.append([by_loops(real[first], other[second], 2) for other in (generated, real)])
    for result, each in zip(
        manifold_halves(real, generated, k=2, splits=3, seed=4), zip(*expected, strict=True), strict=True
    ):
        assert figures(result) == {name: np.mean([split[name] for split in each]) for name in each[0]}


def test_halves_compare_no_item_with_its_own_real_item(rng):
    real = rng.normal(size=(200, 4))
    result, reference = manifold_halves(real, real.copy(), splits=20)
    assert result == reference
    assert reference.coverage < 1
    assert reference.density == pytest.approx(1, abs=0.1)  # 1.2 for copies


def test_halves_detect_a_collapsed_generator(rng):
    real = rng.normal(size=(400, 4))
    result, reference = manifold_halves(real, 0.01 * rng.normal(size=(400, 4)), splits=3)
    assert isinstance(result, Manifold)
    assert result.recall < 0.02 < 0.5 < reference.recall
    assert result.coverage < 0.2 < 0.9 < reference.coverage


def test_the_seed_determines_the_halves(rng):
    real, generated = rng.normal(size=(2, 50, 3))
    assert manifold_halves(real, generated, seed=1) == manifold_halves(real, generated, seed=1)
    assert manifold_halves(real, generated, seed=1) != manifold_halves(real, generated, seed=2)


def test_invalid_features_are_refused(rng):
    good = rng.normal(size=(10, 3))
    with pytest.raises(UserError, match=r"3.*4"):
        manifold(good, rng.normal(size=(10, 4)))
    with pytest.raises(UserError, match=r"\(10,\)"):
        manifold(good[:, 0], good)
    for bad in (np.nan, np.inf):
        with pytest.raises(UserError, match="real features"):
            manifold(np.where(good > 1, bad, good), good)
        with pytest.raises(UserError, match="generated features"):
            manifold(good, np.where(good > 1, bad, good))


def test_too_few_items_are_refused(rng):
    good = rng.normal(size=(12, 3))
    assert isinstance(manifold(good[:6], good[:6], k=5), Manifold)
    with pytest.raises(UserError, match=r"5 real.*6"):
        manifold(good[:5], good, k=5)
    with pytest.raises(UserError, match=r"5 generated.*6"):
        manifold(good, good[:5], k=5)
    with pytest.raises(UserError, match=r"\b0\b"):
        manifold(good, good, k=0)


def test_impossible_halves_are_refused(rng):
    good = rng.normal(size=(12, 3))
    assert isinstance(manifold_halves(good, good, k=5)[0], Manifold)
    with pytest.raises(UserError, match=r"11.*12"):
        manifold_halves(good[:11], good[:11], k=5)
    with pytest.raises(UserError, match=r"12.*11"):
        manifold_halves(good, good[:11], k=2)
    with pytest.raises(UserError, match=r"splits.*0"):
        manifold_halves(good, good, k=2, splits=0)
