"""The temperature of the losses that compare two softened distributions."""

from __future__ import annotations

from hydrometer.types import HydrometerError


def scale(temperature: float, squared: bool) -> float:
    """What the loss is multiplied by: T squared keeps gradients comparable between temperatures.

    Hinton, Vinyals and Dean (arXiv 1503.02531), section 2.

    Raises:
        HydrometerError: The temperature is not positive.
    """
    if not temperature > 0:
        raise HydrometerError(f"temperature={temperature} is out of range; it must be positive")
    return temperature**2 if squared else 1.0
