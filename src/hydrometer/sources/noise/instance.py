"""Instance-dependent label noise: which label is wrong, and how, depends on the image."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from scipy.stats import truncnorm

from hydrometer.registry import register
from hydrometer.sources.noise import Floats, Labels, Part, in_range
from hydrometer.types import HydrometerError

SPREAD = 0.1
"""Standard deviation of the images' own rates."""


@register("noise")
def instance(part: Part, rate: float, *, rng: np.random.Generator) -> Labels:
    """Each image flips at a rate of its own, towards classes its pixels point to: `instance:0.4`.

    Xia et al., "Part-dependent label noise" (NeurIPS 2020), algorithm 2: the rate q is from
    N(rate, 0.1) truncated to (0, 1), the target from softmax(x W_c) over the other classes, with W_c
    (d, k) standard normal and x the normalised pixels. Unlike its public code, which fixes one, the
    seed of the modifier moves every draw.
    """
    in_range("instance", rate)
    if len(part.classes) < 2:
        raise HydrometerError("instance noise needs two classes; the source has a single one")
    rates = _rates(rate, rng.random(len(part.labels)))
    pushes = _pushes(part, rng)
    draws = rng.random(len(part.labels))
    own = part.labels[:, None]
    shares = rates[:, None] * pushes
    np.put_along_axis(shares, own, 1 - rates[:, None], axis=1)
    found = (draws[:, None] >= np.cumsum(shares, axis=1)).sum(1)
    return np.asarray(np.minimum(found, len(part.classes) - 1), dtype=np.int64)


def _rates(rate: float, draws: Floats) -> Floats:
    low, high = -rate / SPREAD, (1 - rate) / SPREAD
    return np.asarray(truncnorm.ppf(draws, low, high, loc=rate, scale=SPREAD))


def _pushes(part: Part, rng: np.random.Generator) -> Floats:
    """Probabilities (n, k) of each target, were the label to change; zero at the label itself."""
    k, pixels = len(part.classes), int(np.prod(part.original.shape))
    # One class's matrix at a time: all of CIFAR-100's together are a quarter of a gigabyte.
    keys = rng.integers(0, 2**63, size=k)
    logits = np.full((len(part.labels), k), -np.inf)
    for rows, block in part.images():
        labels = part.labels[rows]
        for c in np.unique(labels):
            weight = np.random.default_rng(keys[c]).standard_normal((pixels, k))
            logits[rows.start + np.flatnonzero(labels == c)] = block[labels == c] @ weight
    np.put_along_axis(logits, part.labels[:, None], -np.inf, axis=1)
    return np.asarray(softmax(logits, axis=1))
