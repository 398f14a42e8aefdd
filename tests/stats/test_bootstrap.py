import math

import numpy as np
import pytest
from scipy import stats

from hydrometer.stats import bootstrap
from hydrometer.types import Estimate, HydrometerError


def mean(x):
    return x.mean(axis=-1)


def difference(x, y):
    return x.mean(axis=-1) - y.mean(axis=-1)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("n", "level"), [(5, 0.95), (10, 0.9), (40, 0.99)])
def test_tail_is_hesterbergs(n, level):
    expected = stats.norm.cdf(math.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, n - 1))
    assert bootstrap.tail(level, n) == pytest.approx(expected, rel=1e-9)


def test_tail_becomes_the_plain_one_with_many_seeds():
    assert bootstrap.tail(0.95, 100_000) == pytest.approx(0.025, rel=1e-3)
    assert bootstrap.tail(0.95, 5) < 0.001


def test_large_sample_agrees_with_scipy():
    x = rng(1).exponential(size=400)
    ours = bootstrap.interval(mean, [x], rng=rng())
    theirs = stats.bootstrap((x,), np.mean, method="percentile", n_resamples=10_000, rng=rng())
    assert ours.value == pytest.approx(x.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_the_expanded_interval_covers_better_than_the_plain_one():
    x = rng(2).standard_normal((1000, 5))
    drawn = bootstrap.replicates(mean, [x], resamples=2000, rng=rng(3))
    assert drawn.shape == (2000, 1000)

    def coverage(cut):
        low, high = np.quantile(drawn, (cut, 1 - cut), axis=0)
        return np.mean((low <= 0) & (high >= 0))

    expanded, plain = coverage(bootstrap.tail(0.95, 5)), coverage(0.025)
    assert expanded >= 0.90
    assert plain < 0.87


def test_paired_groups_share_their_draws():
    x = rng(4).random(6)
    paired = bootstrap.interval(difference, [x, x + 0.1], groups=["a", "a"], rng=rng())
    apart = bootstrap.interval(difference, [x, x + 0.1], groups=["a", "b"], rng=rng())
    assert paired.low == pytest.approx(-0.1)
    assert paired.high == pytest.approx(-0.1)
    assert apart.high - apart.low > 0.1


def test_without_groups_samples_are_independent():
    x = rng(4).random(6)
    ungrouped = bootstrap.interval(difference, [x, x], rng=rng())
    assert ungrouped.low < -0.05 < 0.05 < ungrouped.high


def test_the_smallest_group_sets_n():
    few, many = rng(5).random(4), rng(6).random(50)
    found = bootstrap.interval(difference, [few, many], rng=rng())
    assert found.n == 4
    alone = bootstrap.interval(mean, [many], rng=rng())
    assert found.high - found.low > alone.high - alone.low


def test_a_group_of_unequal_samples_is_refused():
    with pytest.raises(ValueError, match="differ in their number"):
        bootstrap.interval(difference, [np.ones(4), np.ones(5)], groups=[0, 0], rng=rng())


def test_the_same_generator_gives_the_same_digits():
    x = rng(7).random(5)
    first, again, other = (bootstrap.interval(mean, [x], rng=rng(s)) for s in (1, 1, 2))
    assert first == again
    assert first.value == other.value


def test_equal_values_give_a_point():
    found = bootstrap.interval(mean, [np.full(5, 0.7)], rng=rng())
    assert found.low == found.value == found.high


def test_one_seed_gives_the_bounds():
    found = bootstrap.interval(difference, [np.ones(1), np.ones(9)], bounds=(-1, 1), rng=rng())
    assert found == Estimate(value=0.0, low=-1.0, high=1.0, level=0.95, n=1)
    assert Estimate.model_validate_json(found.model_dump_json()) == found


def test_one_seed_without_bounds_is_an_error():
    with pytest.raises(HydrometerError, match="at least 2 seeds"):
        bootstrap.interval(mean, [np.ones(1)], rng=rng())


def test_a_level_in_percent_is_an_error():
    with pytest.raises(HydrometerError, match="level=95 is not between 0 and 1"):
        bootstrap.interval(mean, [np.ones(5)], level=95, rng=rng())


def test_two_to_four_seeds_give_their_range():
    x = np.array([0.1, 0.5, 0.4])
    found = bootstrap.interval(mean, [x], rng=rng())
    assert found.low == pytest.approx(0.1, abs=1e-4)
    assert found.high == pytest.approx(0.5, abs=1e-4)


def test_notice_names_n_and_the_cure():
    assert bootstrap.notice(5) is None
    assert bootstrap.notice(3) == "n=3 seeds: the interval is unreliable; use at least 5"
    assert "no interval" in bootstrap.notice(1)
