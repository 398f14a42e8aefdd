"""Cutout: one zero square per image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.geometry import squares
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("augmentation", "cutout")
@dataclass(frozen=True)
class Cutout:
    """Fill one square of `size` times the side of each image with zeros.

    DeVries and Taylor, arXiv 1708.04552, section 3.2: the square may stick out of the image. Its
    centre is drawn as in DSA, so that all positions of an even side are symmetric.

    Raises:
        HydrometerError: when `size` is not in [0, 1].
    """

    size: float = 0.5
    draws: ClassVar[int] = 2
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.size <= 1:
            raise HydrometerError(f"cutout: size={self.size} is no fraction; choose from [0, 1]")

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images, each with a hole."""
        h, w = images.shape[-2:]
        return Augmented(images.masked_fill(squares(u, self.size, h, w).mask(h, w), 0))
