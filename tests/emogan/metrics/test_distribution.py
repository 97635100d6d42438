"""FID, IS and KID compared with closed forms and second implementations in numpy and scipy."""

import numpy as np
import pytest
from scipy import linalg, special

from emogan.errors import UserError
from emogan.metrics import distribution


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def frechet_by_scipy(first, second):
    c1, c2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = linalg.sqrtm(c1 @ c2).real
    return np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * root)


def kernel_by_numpy(first, second):
    kernels = [(a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((first, first), (second, second), (first, second))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    return sum(within) - 2 * kernels[2].mean()


def with_moments(rng, n, mean, deviation):
    """A sample of independent columns with exactly these means and unbiased deviations."""
    sample = rng.normal(size=(n, len(mean)))
    centred = sample - sample.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return white * deviation + mean


def test_frechet_distance_of_known_gaussians(rng):
    # Diagonal covariances: sum of (m1 - m2)^2 + (s1 - s2)^2 = 3^2 + 0 + (1 - 3)^2 + (2 - 1)^2 = 14.
    first = with_moments(rng, 50, np.array([0.0, 5.0]), np.array([1.0, 2.0]))
    second = with_moments(rng, 70, np.array([3.0, 5.0]), np.array([3.0, 1.0]))
    assert distribution.frechet_distance(first, second) == pytest.approx(14.0, abs=1e-6)


def test_frechet_distance_agrees_with_scipy_on_float32(rng):
    first = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8))
    second = 1 + rng.normal(size=(40, 8)) @ rng.normal(size=(8, 8))
    expected = frechet_by_scipy(first, second)
    distance = distribution.frechet_distance(first.astype(np.float32), second.astype(np.float32))
    assert distance == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_a_set_to_itself_is_zero(rng):
    features = rng.normal(size=(20, 5)).astype(np.float32)
    assert distribution.frechet_distance(features, features) == pytest.approx(0.0, abs=1e-6)


def test_frechet_distance_is_biased_upwards_at_small_n(rng):
    large, small = (
        distribution.frechet_distance(rng.normal(size=(n, 16)), rng.normal(size=(n, 16))) for n in (2000, 40)
    )
    assert small > 10 * large > 0


def test_inception_score_by_hand(rng):
    logits = rng.normal(scale=2.0, size=(30, 6))
    p = special.softmax(logits, axis=1)
    expected = np.exp(np.mean(np.sum(special.rel_entr(p, p.mean(axis=0)), axis=1)))
    assert distribution.inception_score(logits.astype(np.float32)) == pytest.approx(expected, rel=1e-5)


def test_inception_score_is_between_one_and_the_number_of_classes():
    assert distribution.inception_score(np.tile([1.0, 2.0, 3.0], (4, 1))) == pytest.approx(1.0)
    assert distribution.inception_score(100 * np.eye(6)) == pytest.approx(6.0)


def test_kernel_distance_agrees_with_the_unbiased_estimator(rng):
    first, second = rng.normal(size=(12, 4)), rng.normal(0.5, 1.5, size=(9, 4))
    expected = kernel_by_numpy(first, second)
    distance = distribution.kernel_distance(first.astype(np.float32), second.astype(np.float32))
    assert distance == pytest.approx(expected, rel=1e-5)


def test_kernel_distance_by_hand():
    # One dimension, k(x, y) = (xy + 1)^3. Within {0, 0}: 1. Within {1, 1}: 8. Across: 1. So 1 + 8 - 2 = 7.
    assert distribution.kernel_distance(np.zeros((2, 1)), np.ones((2, 1))) == pytest.approx(7.0)


def test_kernel_distance_is_unbiased(rng):
    estimates = [distribution.kernel_distance(*rng.normal(size=(2, 10, 3))) for _ in range(60)]
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / np.sqrt(60)
    assert min(estimates) < 0


def test_kernel_distance_in_blocks_does_not_depend_on_the_order_of_items(rng):
    # Sorted sets in blocks as they come would compare low with low and high with high only.
    first, second = (np.sort(rng.normal(size=(1100, 1)), axis=0) for _ in range(2))
    assert abs(distribution.kernel_distance(first, second)) < 0.2
    shifted = distribution.kernel_distance(first, second + 1)
    assert shifted == pytest.approx(kernel_by_numpy(first, second + 1), rel=0.1)


def test_real_versus_real_splits_into_disjoint_halves_by_seed(rng):
    features = np.arange(14.0).reshape(7, 2)
    halves = []

    def record(first, second):
        halves.append((first[:, 0].tolist(), second[:, 0].tolist()))
        return float(len(first))

    assert distribution.real_versus_real(record, features, seed=3) == 4.0
    distribution.real_versus_real(record, features, seed=3)
    distribution.real_versus_real(record, features, seed=4)
    assert sorted(halves[0][0] + halves[0][1]) == features[:, 0].tolist()
    assert halves[0] == halves[1] != halves[2]


def test_real_versus_real_of_a_real_distance_is_that_of_the_halves(rng):
    features = rng.normal(size=(60, 4))
    floor = distribution.real_versus_real(distribution.frechet_distance, features, seed=0)
    first, second = np.split(np.random.default_rng(0).permutation(features), 2)
    assert floor == pytest.approx(frechet_by_scipy(first, second), rel=1e-6)


@pytest.mark.parametrize("distance", [distribution.frechet_distance, distribution.kernel_distance])
def test_invalid_features_are_refused(distance, rng):
    good = rng.normal(size=(5, 3))
    with pytest.raises(UserError, match="1 generated features"):
        distance(good, good[:1])
    with pytest.raises(UserError, match=r"length 3.* 2"):
        distance(good, good[:, :2])
    with pytest.raises(UserError, match="finite"):
        distance(np.full((5, 3), np.nan), good)


def test_too_few_items_for_the_blocks_are_refused():
    with pytest.raises(UserError, match="at least 4"):
        distribution.kernel_distance(np.zeros((1025, 1)), np.zeros((3, 1)))


def test_scores_of_too_few_items_are_refused():
    with pytest.raises(UserError, match="1 logits"):
        distribution.inception_score(np.zeros((1, 6)))
    with pytest.raises(UserError, match="at least 4"):
        distribution.real_versus_real(distribution.frechet_distance, np.zeros((3, 2)), seed=0)
