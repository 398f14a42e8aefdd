"""Horizontal flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("augmentation", "flip")
@dataclass(frozen=True)
class Flip:
    """Mirror each image left to right with probability `prob`.

    Raises:
        HydrometerError: when `prob` is not in [0, 1].
    """

    prob: float = 0.5
    draws: ClassVar[int] = 1
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.prob <= 1:
            raise HydrometerError(f"flip: prob={self.prob} is no probability; choose from [0, 1]")

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images, some of them mirrored."""
        mirrored = u[..., 0, None, None, None] < self.prob
        return Augmented(torch.where(mirrored, images.flip(-1), images))
