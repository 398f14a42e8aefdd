"""The cosine schedule with EDC's smoothing factor."""

import math

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register

_FIRST = 0.01
"""The factor at which a warm-up starts, as in torchvision's reference scripts."""


@register("schedule")
def cosine(*, zeta: float = 1.0, warmup: int = 0) -> Schedule:
    """(1 + cos(i pi / (zeta N))) / 2 at epoch i of N: zeta 1 ends at zero, 2 at half the rate.

    Shao et al., "Elucidating the Design Space of Dataset Condensation" (EDC, NeurIPS 2024). Before it
    the rate rises from 1 % over `warmup` epochs, which N leaves out.
    """

    def factor(at: Progress) -> float:
        if at.epoch < warmup:
            return _FIRST + (1 - _FIRST) * at.epoch / warmup
        return (1 + math.cos(math.pi * (at.epoch - warmup) / (zeta * (at.epochs - warmup)))) / 2

    return factor
