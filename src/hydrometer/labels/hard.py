"""Hard labels alone."""

from __future__ import annotations

from torch import Tensor

from hydrometer.labels import Teachers
from hydrometer.registry import register


@register("labels")
class Hard:
    """No soft target: the class is all a student is told."""

    mixes = True

    def __init__(self, stored: Tensor | None, teachers: Teachers) -> None:
        pass

    def soft(self, rows: Tensor, images: Tensor) -> Tensor | None:
        """No soft targets."""
        return None
