"""Random crop of random area and shape, enlarged to the full image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.geometry import CROP_DRAWS, crop_and_resize, crops, working
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("augmentation", "random-resized-crop")
@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut a box out of each image and enlarge it to the full image, as torchvision's class does.

    The box covers `scale_min` to `scale_max` of the area, at a width / height from `ratio_min` to
    `ratio_max`, log-uniform. With both scales 1, square images stay whole, bit for bit.

    Raises:
        HydrometerError: unless 0 < scale_min <= scale_max <= 1 and 0 < ratio_min <= ratio_max.
    """

    scale_min: float = 0.08
    scale_max: float = 1.0
    ratio_min: float = 3 / 4
    ratio_max: float = 4 / 3
    draws: ClassVar[int] = CROP_DRAWS
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max <= 1:
            raise HydrometerError(
                f"random-resized-crop: scale_min={self.scale_min}, scale_max={self.scale_max} "
                "are no range of areas; choose 0 < scale_min <= scale_max <= 1"
            )
        if not 0 < self.ratio_min <= self.ratio_max:
            raise HydrometerError(
                f"random-resized-crop: ratio_min={self.ratio_min}, ratio_max={self.ratio_max} "
                "are no range of shapes; choose 0 < ratio_min <= ratio_max"
            )

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images, each replaced by a part of itself."""
        h, w = images.shape[-2:]
        area, ratio = (self.scale_min, self.scale_max), (self.ratio_min, self.ratio_max)
        boxes = crops(u.flatten(0, 1), area, ratio, h, w)
        views = crop_and_resize(working(images).flatten(0, 1), boxes)
        return Augmented(views.view_as(images).to(images.dtype))
