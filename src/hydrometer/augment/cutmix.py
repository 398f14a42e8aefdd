"""CutMix: a box of each image replaced by a partner's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import integers, permutation, symmetric_beta
from hydrometer.augment.geometry import Boxes
from hydrometer.augment.partners import rows_of
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("augmentation", "cutmix")
@dataclass(frozen=True)
class CutMix:
    """Replace a box of each image by the same box of a partner.

    Yun, Han, Oh, Chun, Choe and Yoo, arXiv 1905.04899, section 3.1: the box would cover
    1 - Beta(alpha, alpha) of the image, its centre is uniform, and it is clipped. Sides are cut to
    even pixels, as in released code; `share` is the area really kept. Partners are a permutation
    of the batch. Every sample draws its own box; with `per_batch`, as in most released code, the
    batch has one.

    Raises:
        HydrometerError: when `alpha` is not positive.
    """

    alpha: float = 1.0
    per_batch: bool = False
    draws: ClassVar[int] = 4
    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise HydrometerError(f"cutmix: alpha={self.alpha} is not positive; try 1.0")

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The mixed images, with partners and shares."""
        h, w = images.shape[-2:]
        partner = permutation(u[..., 3])
        boxes = self.boxes(u[:, :1] if self.per_batch else u, h, w)
        mixed = torch.where(boxes.mask(h, w), rows_of(images, partner), images)
        share = 1 - boxes.area(h, w).float() / (h * w)
        return Augmented(mixed, partner, share.expand_as(partner))

    def boxes(self, u: Tensor, h: int, w: int) -> Boxes:
        """The boxes that `u` (..., draws) asks for in h x w images, before clipping."""
        side = (1 - symmetric_beta(u[..., 0], self.alpha)).sqrt()
        half_h, half_w = (side * h).long() // 2, (side * w).long() // 2
        top = integers(u[..., 1], h) - half_h
        left = integers(u[..., 2], w) - half_w
        return Boxes(top, left, 2 * half_h, 2 * half_w)
