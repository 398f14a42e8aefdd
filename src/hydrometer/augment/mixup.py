"""Mixup: weighted means of pairs of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import permutation, symmetric_beta
from hydrometer.augment.partners import rows_of
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("augmentation", "mixup")
@dataclass(frozen=True)
class MixUp:
    """Add each image, times a share drawn from Beta(alpha, alpha), to the rest of a partner's.

    Zhang, Cisse, Dauphin and Lopez-Paz, arXiv 1710.09412, section 2. Partners are a permutation of
    the batch. Every sample draws its own share; with `per_batch`, as in most released code, the
    batch has one.

    Raises:
        HydrometerError: when `alpha` is not positive.
    """

    alpha: float = 0.8
    per_batch: bool = False
    draws: ClassVar[int] = 2
    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise HydrometerError(f"mixup: alpha={self.alpha} is not positive; try 0.8")

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The mixed images, with partners and shares."""
        partner = permutation(u[..., 1])
        drawn = u[:, :1, 0] if self.per_batch else u[..., 0]
        share = symmetric_beta(drawn, self.alpha).expand_as(partner)
        weight = share[..., None, None, None]
        mixed = weight * images + (1 - weight) * rows_of(images, partner)
        return Augmented(mixed.to(images.dtype), partner, share)
