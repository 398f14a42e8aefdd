"""The step schedule of the matching-based literature."""

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("schedule")
def step(*, every: float = 0.5, gamma: float = 0.1) -> Schedule:
    """Multiply by `gamma` at each `every`-th share of the epochs; 0.5 drops once, half way."""
    if not every > 0:
        raise HydrometerError(
            f"schedule step: every={every} must be above 0, as a share of the epochs"
        )

    def factor(at: Progress) -> float:
        # The small lift keeps a product that rounds up from delaying a drop by an epoch.
        return float(gamma ** int(at.epoch / (every * at.epochs) + 1e-9))

    return factor
