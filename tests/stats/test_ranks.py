import itertools

import numpy as np
import pytest
from scipy import stats

from hydrometer.stats import ranks


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(6))
def test_kendall_is_scipys_tau_b(seed):
    x, y = rng(seed).integers(6, size=(2, 9))
    assert ranks.kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)


def test_kendall_keeps_leading_axes():
    x, y = rng(1).random((2, 4, 3, 7))
    tau = ranks.kendall(x, y)
    assert tau.shape == (4, 3)
    assert tau[2, 1] == pytest.approx(stats.kendalltau(x[2, 1], y[2, 1]).statistic)


def test_kendall_of_no_order_is_zero():
    assert ranks.kendall([1, 1, 1], [1, 2, 3]) == 0
    assert ranks.kendall([1], [1]) == 0


def test_agreement_of_clear_rankings_is_certain():
    first = [np.array([i, i + 0.1, i + 0.2]) for i in range(4)]
    same = ranks.agreement(first, first, resamples=200, rng=rng())
    assert (same.value, same.low, same.high) == (1, 1, 1)
    turned = ranks.agreement(first, first[::-1], resamples=200, rng=rng())
    assert (turned.value, turned.low, turned.high) == (-1, -1, -1)
    with pytest.raises(ValueError, match="4 and 3"):
        ranks.agreement(first, first[:3], rng=rng())


def test_agreement_of_close_rankings_is_not():
    first, second = list(rng(2).random((5, 6))), list(rng(3).random((5, 6)))
    found = ranks.agreement(first, second, rng=rng())
    expected = stats.kendalltau([x.mean() for x in first], [x.mean() for x in second]).statistic
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert found.n == 6


def test_rank_probabilities_by_enumeration():
    scores = [np.array([0.0, 3.0]), np.array([1.0, 2.0]), np.array([9.0, 9.0])]
    found = ranks.rank_probabilities(scores, resamples=40_000, rng=rng())
    # Means are 0, 1.5, 3 and 1, 1.5, 2 with weights 1/4, 1/2, 1/4 each.
    first_wins = 1 / 4 + 1 / 2 * (1 / 4 + 1 / 2 * 1 / 2)
    expected = [[0, first_wins, 1 - first_wins], [0, 1 - first_wins, first_wins], [1, 0, 0]]
    assert found == pytest.approx(np.array(expected), abs=0.01)


def test_rank_probabilities_of_shared_seeds_by_enumeration():
    scores = rng(4).integers(4, size=(3, 3)).astype(float)
    expected = np.zeros((3, 3))
    for drawn in itertools.product(range(3), repeat=3):
        means = scores[:, drawn].mean(axis=1)
        for i, mean in enumerate(means):
            better, tied = (means > mean).sum(), (means == mean).sum()
            expected[i, better : better + tied] += 1 / tied / 27
    found = ranks.rank_probabilities(list(scores), groups=[0] * 3, resamples=40_000, rng=rng())
    assert found == pytest.approx(expected, abs=0.01)


def test_rank_probabilities_add_up_both_ways():
    scores = list(rng(5).integers(3, size=(5, 4)).astype(float))
    found = ranks.rank_probabilities(scores, groups=[0] * 5, resamples=500, rng=rng())
    assert found.sum(axis=0) == pytest.approx(np.ones(5))
    assert found.sum(axis=1) == pytest.approx(np.ones(5))


def test_shared_ranks_count_the_significantly_better():
    values = np.array([0.2, 0.9, 0.8, 0.5])
    different = np.array(
        [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]],
        dtype=bool,
    )
    assert ranks.shared_ranks(values, different).tolist() == [3, 1, 1, 2]
    assert ranks.tie_groups(values, different) == ((1, 2), (3,), (0,))


def test_no_difference_is_one_group_and_full_difference_is_none():
    values = np.array([3.0, 1.0, 2.0])
    assert ranks.tie_groups(values, np.zeros((3, 3))) == ((0, 2, 1),)
    assert ranks.tie_groups(values, np.ones((3, 3))) == ((0,), (2,), (1,))
