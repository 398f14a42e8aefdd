"""Labels from teachers that see the very views the student sees."""

from __future__ import annotations

import torch
from torch import Tensor

from hydrometer.labels import Supplies
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("labels")
class Teacher:
    """Mean logits of an ensemble on the augmented, already mixed batch, in evaluation mode."""

    mixes = False

    def __init__(self, supplies: Supplies) -> None:
        if not supplies.teachers:
            raise HydrometerError("labels 'teacher' need at least one teacher in the recipe")
        self.teachers = supplies.teachers

    @torch.no_grad()
    def soft(self, rows: Tensor, images: Tensor, step: int) -> Tensor:
        """One forward of each teacher over the whole cohort's batch."""
        flat = images.flatten(0, 1)
        logits = torch.stack([t(flat).float() for t in self.teachers]).mean(0)
        return logits.view(*images.shape[:2], -1)
