"""The step schedule whose drops stand where a recipe puts them."""

from fractions import Fraction

from hydrometer.engine.schedules import Progress, Schedule
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("schedule")
def multistep(*, drops: str = "1/2", gamma: float = 0.1) -> Schedule:
    """Multiply by `gamma` at each of some shares of the epochs, with | between them: `2/3|5/6`.

    Raises:
        HydrometerError: A share is no number between 0 and 1.
    """
    shares = [_share(part) for part in str(drops).split("|")]

    def factor(at: Progress) -> float:
        return float(gamma ** sum(at.epoch >= share * at.epochs for share in shares))

    return factor


def _share(text: str) -> Fraction:
    """An exact share, so that no drop comes an epoch late."""
    try:
        share = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not 0 < share < 1:
        raise HydrometerError(
            f"schedule multistep: drops={text!r} is no share of the epochs; write such as 2/3|5/6"
        )
    return share
