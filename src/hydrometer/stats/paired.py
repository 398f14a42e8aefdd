"""Comparing two things that were measured with the same seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hydrometer.stats.bootstrap import Array, interval
from hydrometer.types import Estimate

EXACT_UP_TO = 12
"""Seeds for which all 2^n sign patterns are tried."""


@dataclass(frozen=True)
class Comparison:
    """A subject against a baseline, seed by seed.

    `difference` is the mean of subject minus baseline, `p_value` that of `sign_flip`, `improvement`
    the `probability_of_improvement`.
    """

    difference: Estimate
    p_value: float
    improvement: float


def compare(
    subject: ArrayLike, baseline: ArrayLike, *, level: float = 0.95, rng: np.random.Generator
) -> Comparison:
    """Compare accuracies of shape (n,) whose entries belong to the same seeds."""
    x, y = np.asarray(subject, float), np.asarray(baseline, float)
    if x.shape != y.shape:
        raise ValueError(f"paired samples differ in shape: {x.shape} and {y.shape}")
    gain = x - y
    return Comparison(
        difference=interval(_mean, [gain], bounds=(-1.0, 1.0), level=level, rng=rng),
        p_value=sign_flip(gain, rng=rng),
        improvement=float(probability_of_improvement(x, y)),
    )


def sign_flip(
    differences: ArrayLike, *, resamples: int = 10_000, rng: np.random.Generator
) -> float:
    """Two-sided p-value of the mean of paired differences (n,), by flipping their signs.

    Exact up to 12 differences; beyond, sampled, with the observed pattern counted as one of the
    samples (Phipson and Smyth, 2010, equation 2). It cannot fall below `smallest_p(n)`.
    """
    d = np.asarray(differences, float)
    exact = len(d) <= EXACT_UP_TO
    signs = _all_signs(len(d)) if exact else rng.choice((-1.0, 1.0), size=(resamples, len(d)))
    rounding = 1e-12 * np.abs(d).sum()
    extreme = np.count_nonzero(np.abs(signs @ d) >= abs(d.sum()) - rounding)
    return extreme / len(signs) if exact else (extreme + 1) / (resamples + 1)


def smallest_p(n: int) -> float:
    """The least p-value an exact sign-flip test of n differences can give.

    >>> smallest_p(5), smallest_p(6)
    (0.0625, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - n))


def pairwise(scores: ArrayLike, *, rng: np.random.Generator) -> Array:
    """Holm-corrected sign-flip p-values between all rows of scores (m, n), a symmetric (m, m)."""
    rows = np.asarray(scores, float)
    first, second = np.triu_indices(len(rows), k=1)
    raw = [sign_flip(rows[i] - rows[j], rng=rng) for i, j in zip(first, second, strict=True)]
    table = np.ones((len(rows), len(rows)))
    table[first, second] = table[second, first] = holm(raw)
    return table


def holm(p_values: ArrayLike) -> Array:
    """P-values (m,) adjusted so that any one below alpha errs with probability alpha in all.

    Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def probability_of_improvement(subject: ArrayLike, baseline: ArrayLike) -> Array:
    """Chance that a random seed of the subject beats a random seed of the baseline, ties half.

    (..., n) and (..., m) give (...). Agarwal et al., "Deep RL at the Edge of the Statistical
    Precipice" (NeurIPS 2021), section 4.3, for one task; seeds are not paired here.
    """
    x, y = np.asarray(subject, float), np.asarray(baseline, float)
    wins = np.sign(x[..., :, None] - y[..., None, :])
    return np.asarray(0.5 + 0.5 * wins.mean(axis=(-2, -1)))


def iqm(values: ArrayLike) -> Array:
    """Mean of the middle half of (..., n), with floor(n / 4) values dropped at each end.

    Agarwal et al. (NeurIPS 2021), section 4.3; robust like the median, and less wasteful.
    """
    x = np.sort(np.asarray(values, float), axis=-1)
    n = x.shape[-1]
    return np.asarray(x[..., n // 4 : n - n // 4].mean(axis=-1))


def _mean(x: Array) -> Array:
    return np.asarray(x.mean(axis=-1))


def _all_signs(n: int) -> Array:
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return np.where(bits, -1.0, 1.0)
