"""Two-component mixtures of the losses of one class: the low component is believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from hydrometer.methods.trust.report import Floats, Labels

FEWEST = 20
"""Images of a class below which no mixture is fitted, and all are believed."""
ROUNDS, TOLERANCE, REGULARISER = 10, 1e-2, 5e-4
"""Those of DivideMix's code. Run on, the low component takes in more labels, and more wrong ones."""
NEGLIGIBLE = 1e-4
"""Losses below this are not told apart: logarithms of near nothing would stretch what is fitted."""


@dataclass(frozen=True)
class Mixture:
    """Two normals: shares, means and deviations (2,), the one with the lower mean first."""

    share: Floats
    mean: Floats
    deviation: Floats

    def low(self, values: Floats) -> Floats:
        """Posterior probability of the low component (n,), and one below its mean.

        Without that a wide high component claims the smallest losses too.
        """
        parts = self.densities(values)
        posterior = parts[:, 0] / np.maximum(parts.sum(1), np.finfo(float).tiny)
        return np.where(values < self.mean[0], 1.0, posterior)

    def densities(self, values: Floats) -> Floats:
        """Weighted densities (n, 2)."""
        return np.asarray(self.share * norm.pdf(values[:, None], self.mean, self.deviation))

    def log_likelihood(self, values: Floats) -> float:
        """Of all values, natural logarithm."""
        total = self.densities(values).sum(1)
        return float(np.log(np.maximum(total, np.finfo(float).tiny)).sum())

    @property
    def separation(self) -> float:
        """Ashman's D: sqrt(2) |difference of means| / root of the summed variances."""
        spread = float(np.sqrt((self.deviation**2).sum()))
        return float(np.sqrt(2) * abs(self.mean[1] - self.mean[0]) / spread)


def fit(values: Floats) -> Mixture:
    """Expectation-maximisation from the two halves that 2-means finds, as scikit-learn does it.

    Constants are those of the code of DivideMix (Li, Socher and Hoi, ICLR 2020, arXiv 2002.07394): ten
    rounds, until the mean log-likelihood gains less than 0.01, variances regularised by 5e-4. Nothing
    is drawn.
    """
    low = values <= divide(values)
    found, before = _maximised(values, np.stack([low, ~low], axis=1).astype(np.float64)), -np.inf
    for _ in range(ROUNDS):
        parts = found.densities(values)
        total = np.maximum(parts.sum(1, keepdims=True), np.finfo(float).tiny)
        found, now = _maximised(values, parts / total), float(np.log(total).mean())
        if now - before < TOLERANCE:
            break
        before = now
    order = np.argsort(found.mean)
    return Mixture(found.share[order], found.mean[order], found.deviation[order])


def divide(values: Floats) -> float:
    """The largest value of the lower of two groups (n >= 2) that vary least within: 2-means, exactly."""
    ordered = np.sort(values)
    below = np.arange(1, len(values))
    total = np.cumsum(ordered - values.mean())[:-1]
    # The sums of the two groups are opposite, so that what is between them needs but one.
    between = total**2 * (1 / below + 1 / (len(values) - below))
    return float(ordered[between.argmax()])


@dataclass(frozen=True)
class ClassTrust:
    """Trust (n,) by a mixture per given class; mean Ashman D and BIC(1) - BIC(2) of the fits."""

    trust: Floats
    separation: float
    gain: float


def class_trust(losses: Floats, given: Labels, classes: int) -> ClassTrust:
    """The posterior of the low component of each given class, on standardised log-losses.

    A loss that is not finite counts as the largest finite one of its class. Classes below 20 images,
    and those whose losses are all alike, are believed whole.
    """
    trust = np.ones(len(given))
    separations, gains = [], []
    for c in range(classes):
        rows = np.flatnonzero(given == c)
        values = standardised(losses[rows])
        if len(rows) < FEWEST or not np.ptp(values):
            continue
        found = fit(values)
        trust[rows] = found.low(values)
        separations.append(found.separation)
        gains.append(_gain(found, values))
    return ClassTrust(trust, _mean(separations), _mean(gains))


def standardised(losses: Floats) -> Floats:
    """Log-losses with mean 0 and deviation 1; zeros where all are alike or none is finite."""
    known = np.isfinite(losses)
    if not known.any():
        return np.zeros(len(losses))
    filled = np.where(known, losses, losses[known].max())
    logs = np.log(np.maximum(filled, NEGLIGIBLE))
    spread = logs.std()
    return (logs - logs.mean()) / spread if spread > 1e-9 else np.zeros(len(losses))


def _maximised(values: Floats, belongs: Floats) -> Mixture:
    sizes = belongs.sum(0) + 10 * np.finfo(float).eps
    mean = values @ belongs / sizes
    variance = (belongs * (values[:, None] - mean) ** 2).sum(0) / sizes + REGULARISER
    return Mixture(sizes / sizes.sum(), mean, np.sqrt(variance))


def _gain(found: Mixture, values: Floats) -> float:
    one = float(norm.logpdf(values, values.mean(), max(values.std(), 1e-9)).sum())
    return 2 * (found.log_likelihood(values) - one) - 3 * float(np.log(len(values)))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
