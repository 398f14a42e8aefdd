"""Linear warm-up and linear decay in single steps, for runs of few epochs."""

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register


@register("schedule")
def triangle(*, warmup: float = 0.2) -> Schedule:
    """Rise linearly over the first `warmup` share of the steps, then fall linearly to zero."""

    def factor(at: Progress) -> float:
        done = (at.step + 1) / (at.steps + 1)
        return done / warmup if done < warmup else (1 - done) / (1 - warmup)

    return factor
