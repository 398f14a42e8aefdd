"""Symmetric label noise: every other class is equally likely."""

from __future__ import annotations

import numpy as np

from hydrometer.registry import register
from hydrometer.sources.noise import Labels, Part, flipped, in_range
from hydrometer.types import HydrometerError


@register("noise")
def symmetric(
    part: Part, rate: float, *, inclusive: bool = False, rng: np.random.Generator
) -> Labels:
    """Labels replaced at random: `symmetric:0.4`, or `symmetric:0.4,inclusive=True`.

    Exclusive, the default: each label changes with probability `rate`, to one of the k - 1 others, as
    in DD_LNL and Prune4ReL. Inclusive: exactly floor(rate n) labels are drawn anew from all k classes,
    as in DivideMix (ICLR 2020), so that only rate (k - 1) / k of them are wrong.
    """
    in_range("symmetric", rate)
    k = len(part.classes)
    if k < 2:
        raise HydrometerError("symmetric noise needs two classes; the source has a single one")
    if inclusive:
        labels = part.labels.copy()
        rows = rng.permutation(len(labels))[: int(rate * len(labels))]
        labels[rows] = rng.integers(0, k, len(rows))
        return labels
    transition = np.full((k, k), rate / (k - 1))
    np.fill_diagonal(transition, 1 - rate)
    return flipped(part.labels, transition, rng)
