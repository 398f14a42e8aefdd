"""Augmentation-robust score: the gain over random images with and without augmentation."""

from __future__ import annotations

from hydrometer.metrics import Accuracies, describe, over_seeds
from hydrometer.metrics.lrs import blend, robust_score
from hydrometer.registry import register


@register("metric")
@describe(title="ARS", higher_is_better=True, bounds=(0.0, 1.0))
def ars(
    subject_aug: Accuracies,
    random_aug: Accuracies,
    subject_naug: Accuracies,
    random_naug: Accuracies,
    *,
    g: float = 0.5,
) -> Accuracies:
    """The mean over seeds of the robust score of g gain_aug + (1 - g) gain_naug, (..., n) to (...).

    DD-Ranking (arXiv 2505.13300). As in its code, the mean is taken after the exponential; unlike
    in its release 0.2.0, accuracies are fractions (see `lrs`).
    """
    gains = subject_aug - random_aug, subject_naug - random_naug
    return over_seeds(robust_score(blend("g", g, *gains)))
