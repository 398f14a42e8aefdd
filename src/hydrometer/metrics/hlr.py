"""Hard-label recovery: how far the subject stays behind the full data."""

from __future__ import annotations

from hydrometer.metrics import Accuracies, describe, over_seeds
from hydrometer.registry import register


@register("metric")
@describe(title="HLR", higher_is_better=False, bounds=(-1.0, 1.0), own_seeds=("full",))
def hlr(full: Accuracies, subject_hard: Accuracies) -> Accuracies:
    """Accuracy of the full data minus that of the subject with hard labels, (..., n) to (...).

    DD-Ranking (arXiv 2505.13300). Its code retrains the full data in every run or takes a
    constant of another setting; here the full data are an arm with seeds, and so an interval, of
    their own.
    """
    return over_seeds(full) - over_seeds(subject_hard)
