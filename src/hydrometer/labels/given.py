"""The soft labels stored in the set."""

from __future__ import annotations

from torch import Tensor

from hydrometer.labels import Teachers
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("labels")
class Given:
    """Stored logits, one vector for each image, whatever its augmentation.

    `stored` is (n, classes), or (k, n, classes) for a cohort whose sets differ.
    """

    mixes = True

    def __init__(self, stored: Tensor | None, teachers: Teachers) -> None:
        if stored is None:
            raise HydrometerError("labels 'given' need a set with soft labels; this one has none")
        self.stored = stored

    def soft(self, rows: Tensor, images: Tensor) -> Tensor:
        """The stored logits of the rows."""
        if self.stored.dim() == 2:
            return self.stored[rows]
        index = rows.unsqueeze(-1).expand(*rows.shape, self.stored.shape[-1])
        return self.stored.gather(1, index)
