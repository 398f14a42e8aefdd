"""The soft labels stored in the set."""

from __future__ import annotations

from torch import Tensor

from hydrometer.labels import Supplies
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("labels")
class Given:
    """Stored logits, one vector for each image, whatever its augmentation."""

    mixes = True

    def __init__(self, supplies: Supplies) -> None:
        if supplies.stored is None:
            raise HydrometerError("labels 'given' need a set with soft labels; this one has none")
        self.stored = supplies.stored

    def soft(self, rows: Tensor, images: Tensor, step: int) -> Tensor:
        """The stored logits of the rows."""
        if self.stored.dim() == 2:
            return self.stored[rows]
        index = rows.unsqueeze(-1).expand(*rows.shape, self.stored.shape[-1])
        return self.stored.gather(1, index)
