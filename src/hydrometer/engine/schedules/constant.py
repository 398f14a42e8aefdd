"""No schedule."""

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register


@register("schedule")
def constant() -> Schedule:
    """The same rate throughout."""

    def factor(at: Progress) -> float:
        return 1.0

    return factor
