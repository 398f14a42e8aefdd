"""Hard labels alone."""

from __future__ import annotations

from torch import Tensor

from hydrometer.labels import Supplies
from hydrometer.registry import register


@register("labels")
class Hard:
    """No soft target: the class is all a student is told."""

    mixes = True

    def __init__(self, supplies: Supplies) -> None:
        pass

    def soft(self, rows: Tensor, images: Tensor, step: int) -> Tensor | None:
        """No soft targets."""
        return None
