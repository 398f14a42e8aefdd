"""The step schedule of the matching-based literature."""

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register


@register("schedule")
def step(*, every: float = 0.5, gamma: float = 0.1) -> Schedule:
    """Multiply by `gamma` at each `every`-th share of the epochs; 0.5 drops once, half way."""

    def factor(at: Progress) -> float:
        return float(gamma ** int(at.epoch / (every * at.epochs)))

    return factor
