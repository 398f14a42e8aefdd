"""Intervals from few seeds: the expanded percentile bootstrap, paired where seeds are shared."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from hydrometer.types import Estimate, HydrometerError

Array = NDArray[np.float64]
Statistic = Callable[..., Array]
"""Reduces samples of shape (..., n) over their last axis, so that replicates may lead."""

ENOUGH_SEEDS = 5


def interval(
    statistic: Statistic,
    samples: Sequence[Array],
    *,
    groups: Sequence[Hashable] | None = None,
    bounds: tuple[float, float] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    rng: np.random.Generator,
) -> Estimate:
    """A statistic of samples over seeds with its expanded percentile bootstrap interval.

    Samples have seeds on the last axis. Those that share an id in `groups` share their resampled
    seeds (paired arms); without `groups` all are independent.

    The plain percentile interval is too narrow by about sqrt((n-1)/n) and uses normal quantiles
    where t quantiles belong; `tail` corrects both. With several groups, n is the size of the
    smallest one: it has the poorest idea of its own spread, and the intervals of the others only
    widen. A group of a single seed has no idea at all, so that nothing narrower than `bounds`,
    the least and the greatest value that the statistic can take, would be honest.

    Measured coverage of nominal 95 % intervals of the mean of n normal values (20 000 repetitions,
    one set of 10 000 resamples for all; binomial standard error below 0.004):

    ==========  =====  =====  =====  =====  =====
    n               2      3      4      5     10
    ==========  =====  =====  =====  =====  =====
    plain       0.500  0.749  0.797  0.839  0.899
    expanded    0.500  0.749  0.874  0.923  0.943
    ==========  =====  =====  =====  =====  =====

    Below 5 seeds the interval is the whole range of the values, which covers 1 - 2^(1-n); see
    `notice`.

    Raises:
        HydrometerError: There is one seed and no `bounds`, or `level` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise HydrometerError(f"level={level} is not between 0 and 1, such as 0.95")
    value = float(statistic(*samples))
    n = min(sample.shape[-1] for sample in samples)
    if n == 1 and bounds is None:
        raise HydrometerError("one seed gives no interval: use at least 2 seeds")
    if n == 1 and bounds is not None:
        low, high = bounds
    else:
        drawn = replicates(statistic, samples, groups=groups, resamples=resamples, rng=rng)
        cut = tail(level, n)
        low, high = map(float, np.quantile(drawn, (cut, 1 - cut)))
    return Estimate(value=value, low=low, high=high, level=level, n=n)


def replicates(
    statistic: Statistic,
    samples: Sequence[Array],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    rng: np.random.Generator,
) -> Array:
    """Values of a statistic on samples whose seeds are drawn with replacement, (resamples, ...)."""
    ids = range(len(samples)) if groups is None else groups
    chosen: dict[Hashable, NDArray[np.int64]] = {}
    drawn = []
    for group, sample in zip(ids, samples, strict=True):
        n = sample.shape[-1]
        if group not in chosen:
            chosen[group] = rng.integers(n, size=(resamples, n))
        if chosen[group].shape[-1] != n:
            raise ValueError(f"samples of group {group!r} differ in their number of seeds")
        drawn.append(np.moveaxis(sample[..., chosen[group]], -2, 0))
    return statistic(*drawn)


def tail(level: float, n: int) -> float:
    """Share of n seeds' bootstrap distribution to cut from each end for an interval of this level.

    Hesterberg, "What Teachers Should Know About the Bootstrap" (The American Statistician 69(4),
    2015), expanded percentile interval: alpha'/2 = Phi(-sqrt(n / (n-1)) t_{alpha/2, n-1}).
    """
    return float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 + level) / 2)))


def notice(n: int) -> str | None:
    """What a reader must know about an interval from n seeds, if anything."""
    if n >= ENOUGH_SEEDS:
        return None
    advice = f"use at least {ENOUGH_SEEDS}"
    if n == 1:
        return f"n=1 seed: no interval can be known, so all possible values are shown; {advice}"
    return f"n={n} seeds: the interval is unreliable; {advice}"
