"""The cosine schedule with EDC's smoothing factor."""

import math

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register


@register("schedule")
def cosine(*, zeta: float = 1.0) -> Schedule:
    """(1 + cos(i pi / (zeta N))) / 2 at epoch i of N: zeta 1 ends at zero, 2 at half the rate.

    Shao et al., "Elucidating the Design Space of Dataset Condensation" (EDC, NeurIPS 2024).
    """

    def factor(at: Progress) -> float:
        return (1 + math.cos(math.pi * at.epoch / (zeta * at.epochs))) / 2

    return factor
