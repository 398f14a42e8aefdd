"""Random resized crop inside one tile of a composite image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import integers
from hydrometer.augment.geometry import CROP_DRAWS, Boxes, crop_and_resize, crops, working
from hydrometer.augment.patch_shuffle import tile_shape
from hydrometer.registry import register
from hydrometer.types import HydrometerError

_RATIO = (3 / 4, 4 / 3)


@register("augmentation", "tile-crop")
@dataclass(frozen=True)
class TileCrop:
    """Cut a box out of one tile of each composite and enlarge it to the full image.

    The augmentation of Prune-Combine-Augment, arXiv 2502.06434, for `factor` x `factor` tiles: a
    crop across tiles would show several objects under one label. Our reading, where the paper is
    open: the tile is uniform, and the box covers `scale_min` to `scale_max` of the tile's area.

    Raises:
        HydrometerError: when `factor` is not positive, when an image cannot be divided by it, and
            unless 0 < scale_min <= scale_max <= 1.
    """

    factor: int = 2
    scale_min: float = 0.08
    scale_max: float = 1.0
    draws: ClassVar[int] = 1 + CROP_DRAWS
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise HydrometerError(f"tile-crop: factor={self.factor} tiles a side; choose 1 or more")
        if not 0 < self.scale_min <= self.scale_max <= 1:
            raise HydrometerError(
                f"tile-crop: scale_min={self.scale_min}, scale_max={self.scale_max} "
                "are no range of areas; choose 0 < scale_min <= scale_max <= 1"
            )

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images, each replaced by a part of one of its tiles."""
        boxes = self.boxes(u.flatten(0, 1), *images.shape[-2:])
        views = crop_and_resize(working(images).flatten(0, 1), boxes)
        return Augmented(views.view_as(images).to(images.dtype))

    def boxes(self, u: Tensor, h: int, w: int) -> Boxes:
        """The boxes that `u` (n, draws) asks for in h x w images."""
        tall, wide = tile_shape("tile-crop", self.factor, h, w)
        tile = integers(u[:, 0], self.factor**2)
        inside = crops(u[:, 1:], (self.scale_min, self.scale_max), _RATIO, tall, wide)
        return inside.moved(tile // self.factor * tall, tile % self.factor * wide)
