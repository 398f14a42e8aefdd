"""Patch shuffle: the tiles of an image in a new order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import permutation
from hydrometer.registry import register
from hydrometer.types import HydrometerError


def tile_shape(name: str, factor: int, h: int, w: int) -> tuple[int, int]:
    """Height and width of the tiles of an h x w image cut into `factor` x `factor`.

    Raises:
        HydrometerError: in the name of the augmentation, when the image cannot be cut evenly.
    """
    if h % factor or w % factor:
        raise HydrometerError(
            f"{name}: factor={factor} does not divide images of {h} x {w}; choose one that does"
        )
    return h // factor, w // factor


@register("augmentation", "patch-shuffle")
@dataclass(frozen=True)
class PatchShuffle:
    """Put the `factor` x `factor` tiles of each image in a random order.

    From RDED, arXiv 2312.03526. All (factor²)! orders are equally likely; with `strips`, only the
    (factor!)² that permute whole columns and whole rows, which is what RDED's released code does.

    Raises:
        HydrometerError: when `factor` is not positive, or an image cannot be divided by it.
    """

    factor: int = 2
    strips: bool = False
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise HydrometerError(
                f"patch-shuffle: factor={self.factor} tiles a side; choose 1 or more"
            )

    @property
    def draws(self) -> int:
        """One number per tile, or per column and per row."""
        return 2 * self.factor if self.strips else self.factor**2

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images, each with its tiles in a new order."""
        (k, b, c, h, w), f = images.shape, self.factor
        tall, wide = tile_shape("patch-shuffle", f, h, w)
        grid = images.reshape(k, b, c, f, tall, f, wide).permute(0, 1, 3, 5, 2, 4, 6)
        first = torch.arange(0, k * b * f * f, f * f, device=images.device)
        tile = self._order(u).flatten(0, 1) + first[:, None]
        moved = grid.reshape(k * b * f * f, c, tall, wide)[tile.flatten()]
        back = moved.view(k, b, f, f, c, tall, wide).permute(0, 1, 4, 2, 5, 3, 6)
        return Augmented(back.reshape_as(images))

    def _order(self, u: Tensor) -> Tensor:
        """Which tile, counted row by row, comes to each place, (k, b, factor²)."""
        if not self.strips:
            return permutation(u)
        rows, columns = permutation(u[..., : self.factor]), permutation(u[..., self.factor :])
        return (rows[..., :, None] * self.factor + columns[..., None, :]).flatten(-2)
