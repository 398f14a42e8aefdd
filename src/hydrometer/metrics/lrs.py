"""Label-robust score: gain over random images and loss to the full data in one number."""

from __future__ import annotations

import math

import numpy as np

from hydrometer.metrics import Accuracies, describe, over_seeds
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("metric")
@describe(title="LRS", higher_is_better=True, bounds=(0.0, 1.0), own_seeds=("full",))
def lrs(
    subject: Accuracies,
    random: Accuracies,
    full: Accuracies,
    subject_hard: Accuracies,
    *,
    w: float = 0.5,
) -> Accuracies:
    """The mean over seeds of the robust score of w IOR - (1 - w) HLR, (..., n) to (...).

    DD-Ranking (arXiv 2505.13300). As in its code, the mean is taken after the exponential, and the
    full data enter with their mean. Its release 0.2.0 takes the exponential of percentages, which
    leaves [0, 1] and saturates; here accuracies are fractions, as the formula intends.
    """
    recovered = subject_hard - over_seeds(full)[..., None]
    return over_seeds(robust_score(blend("w", w, subject - random, recovered)))


def robust_score(gain: Accuracies) -> Accuracies:
    """Map a gain in [-1, 1] to [0, 1] by (e^a - e^-1) / (e - e^-1); no gain gives 0.269."""
    return (np.exp(gain) - math.exp(-1)) / (math.e - math.exp(-1))


def blend(name: str, share: float, first: Accuracies, second: Accuracies) -> Accuracies:
    """Mean of two gains, the first with this share, which must be in [0, 1]."""
    if not 0 <= share <= 1:
        raise HydrometerError(f"{name}={share} is not a share; choose {name} in [0, 1]")
    return share * first + (1 - share) * second
