"""Improvement over random: what the subject gains on random images in equal number."""

from __future__ import annotations

from hydrometer.metrics import Accuracies, describe, over_seeds
from hydrometer.registry import register


@register("metric")
@describe(title="IOR", higher_is_better=True, bounds=(-1.0, 1.0))
def ior(subject: Accuracies, random: Accuracies) -> Accuracies:
    """Accuracy of the subject minus that of random images, seed by seed, (..., n) to (...).

    DD-Ranking (arXiv 2505.13300). Its code tunes the learning rate of the random arm alone when the
    subject's is given; here a protocol owes both the same tuning and the same seeds.
    """
    return over_seeds(subject - random)
