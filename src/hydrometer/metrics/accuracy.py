"""How often students of the subject are right."""

from __future__ import annotations

from hydrometer.metrics import Accuracies, describe, over_seeds
from hydrometer.registry import register


@register("metric")
@describe(title="Accuracy", higher_is_better=True, bounds=(0.0, 1.0))
def accuracy(subject: Accuracies) -> Accuracies:
    """Mean test accuracy, (..., n) to (...)."""
    return over_seeds(subject)
