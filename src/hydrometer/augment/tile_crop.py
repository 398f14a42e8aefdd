"""Random resized crop inside one tile of a composite image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import integers
from hydrometer.augment.geometry import (
    CROP_DRAWS,
    Boxes,
    crop_and_resize,
    crops,
    tile_sides,
    working,
)
from hydrometer.registry import register
from hydrometer.types import HydrometerError

_RATIO = (3 / 4, 4 / 3)


@register("augmentation", "tile-crop")
@dataclass(frozen=True)
class TileCrop:
    """Cut a box out of one tile of each composite and enlarge it to the full image.

    The augmentation of Prune-Combine-Augment, arXiv 2502.06434, for `factor` x `factor` tiles: a
    crop across tiles would show several objects under one label. Our reading, where the paper is
    open: the tile is `uniform`, or with `tile=cycle` each tile once in factor² epochs, in an order of
    its own for each image and cycle; the box covers `scale_min` to `scale_max` of the tile's area.
    Where `factor` does not divide a side, the first tiles are a pixel larger, as in `composites.tile`.

    Raises:
        HydrometerError: when `factor` is not positive or larger than a side, when `tile` is neither
            `uniform` nor `cycle`, and unless 0 < scale_min <= scale_max <= 1.
    """

    factor: int = 2
    scale_min: float = 0.08
    scale_max: float = 1.0
    tile: str = "uniform"
    draws: ClassVar[int] = 1 + CROP_DRAWS
    mixes: ClassVar[bool] = False

    @property
    def cycle(self) -> int:
        """Epochs in which an image shows every tile once; 1 where tiles are drawn independently."""
        return self.factor**2 if self.tile == "cycle" else 1

    def __post_init__(self) -> None:
        if self.tile not in ("uniform", "cycle"):
            raise HydrometerError(
                f"tile-crop: tile={self.tile!r} is unknown; known: uniform, cycle"
            )
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
        if self.factor > min(h, w):
            raise HydrometerError(
                f"tile-crop: factor={self.factor} tiles a side do not fit into {h} x {w} pixels"
            )
        tile = integers(u[:, 0], self.factor**2)
        tall, wide = tile_sides(h, self.factor), tile_sides(w, self.factor)
        row, column = tile // self.factor, tile % self.factor
        inside = self._inside(
            u[:, 1:], _of(h, self.factor, row), _of(w, self.factor, column), product(tall, wide)
        )
        return inside.moved(_before(h, self.factor, row), _before(w, self.factor, column))

    def _inside(
        self, u: Tensor, tall: Tensor, wide: Tensor, shapes: Iterable[tuple[int, int]]
    ) -> Boxes:
        """Boxes within tiles of `tall` x `wide` (n,) pixels, shape by shape: there are at most four."""
        found = Boxes(tall, tall, tall, wide)
        for h, w in dict.fromkeys(shapes):
            boxes = crops(u, (self.scale_min, self.scale_max), _RATIO, h, w)
            found = boxes.where((tall == h) & (wide == w), found)
        return found


def _of(side: int, factor: int, place: Tensor) -> Tensor:
    """Lengths of tiles, as `tile_sides` cuts them, without a table that a device would wait for."""
    return side // factor + (place < side % factor).long()


def _before(side: int, factor: int, place: Tensor) -> Tensor:
    """Pixels before tiles."""
    return place * (side // factor) + place.clamp(max=side % factor)
