"""Random crop of a zero-padded image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import integers
from hydrometer.augment.geometry import shift
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("augmentation", "pad-crop")
@dataclass(frozen=True)
class PadCrop:
    """Pad each image with `padding` zeros on every side and cut its size back out, anywhere.

    Raises:
        HydrometerError: when `padding` is negative.
    """

    padding: int = 4
    draws: ClassVar[int] = 2
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise HydrometerError(f"pad-crop: padding={self.padding} is negative; choose 0 or more")

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images, each moved by up to `padding` pixels."""
        offset = (integers(u, 2 * self.padding + 1) - self.padding).flatten(0, 1)
        moved = shift(images.flatten(0, 1), offset[:, 0], offset[:, 1])
        return Augmented(moved.view_as(images))
