"""How good a trust report is, where the clean labels are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hydrometer.methods.trust.report import Mask, Provenance, TrustReport
from hydrometer.sources.noise import NoisySource


@dataclass(frozen=True)
class Quality:
    """Fractions: `precision` of kept labels, `coverage` of images whose given label is right.

    `least_coverage` is that of the clean class with the lowest; `recalibration` the share of
    recalibrated labels that are right. A share of nothing is NaN.
    """

    precision: float
    coverage: float
    least_coverage: float
    recalibration: float


def quality(report: TrustReport, source: NoisySource) -> Quality:
    """A report against the clean labels of its source; for reports and tests, never for methods."""
    clean = source.clean_train.numpy()
    label = report.target.argmax(1)
    right = report.given == clean
    recalled = report.provenance == Provenance.RECALIBRATED
    covered = [
        _share(report.keep[right & (clean == c)])
        for c in range(len(source.classes))
        if (right & (clean == c)).any()
    ]
    return Quality(
        precision=_share((label == clean)[report.keep]),
        coverage=_share(report.keep[right]),
        least_coverage=min(covered, default=np.nan),
        recalibration=_share((label == clean)[recalled]),
    )


def _share(mask: Mask) -> float:
    return float(mask.mean()) if len(mask) else np.nan
