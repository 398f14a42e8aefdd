"""Differentiable siamese augmentation: one operation per batch, its parameters per image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hydrometer.augment import Augmented
from hydrometer.augment.draws import between, integers
from hydrometer.augment.geometry import nearest, rotate, shift, squares, stretch, working
from hydrometer.registry import register
from hydrometer.transfer import handed
from hydrometer.types import HydrometerError

OPERATIONS = ("scale", "rotate", "flip", "colour", "crop", "cutout")


@register("augmentation", "dsa")
@dataclass(frozen=True)
class DSA:
    """Apply one of `OPERATIONS`, drawn for each student's whole batch, differently to each image.

    Zhao and Bilen, arXiv 2102.08259, with the parameters and the order of DD-Ranking 0.2.0. Colour
    is brightness, then saturation, then contrast. Gradients reach the images through every
    operation. A siamese pair (real and synthetic images under one view) is two calls with one row
    of `u` repeated for every sample. `affine_grid` and `grid_sample` align corners, as in
    DD-Ranking; the authors' own code does not, which on square images gives the same pixels.

    Args:
        flip: probability of a left-right flip.
        rotate: largest angle, in degrees, either way.
        saturation: distance from the mean over channels is multiplied by U(0, saturation).
        brightness: U(-1/2, 1/2) times this is added.
        contrast: distance from the image's mean is multiplied by U(0, 1) + contrast.
        scale: height and width are each divided by U(1 / scale, scale).
        crop: largest shift, as a fraction of the side.
        cutout: side of the zero square, as a fraction of the image's.

    Raises:
        HydrometerError: when a parameter is negative, or out of the range of its kind.
    """

    flip: float = 0.5
    rotate: float = 15.0
    saturation: float = 2.0
    brightness: float = 1.0
    contrast: float = 0.5
    scale: float = 1.2
    crop: float = 0.125
    cutout: float = 0.5
    draws: ClassVar[int] = 4
    mixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("rotate", "saturation", "brightness", "contrast"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("flip", "crop", "cutout"):
            self._require(name, 0 <= getattr(self, name) <= 1, "from [0, 1]")
        self._require("scale", self.scale >= 1, "1 or more")

    def _require(self, name: str, holds: bool, choices: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise HydrometerError(f"dsa: {name}={value} is out of range; choose {choices}")

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The images of each student under its operation; reading it makes an accelerator wait."""
        return self.told(images, u, u[:, 0])

    def told(self, images: Tensor, u: Tensor, first: Tensor) -> Augmented:
        """As a call, with the draws of the first samples known: an operation runs on who drew it."""
        drawn = integers(first[:, 0], len(OPERATIONS)).tolist()
        if len(set(drawn)) == 1:
            return Augmented(self._operate(drawn[0], images, u))
        order = sorted(range(len(drawn)), key=drawn.__getitem__)
        used = sorted(set(drawn))
        there = handed(torch.tensor(order), images.device)
        parts = zip(used, torch.split(there, [drawn.count(op) for op in used]), strict=True)
        views = torch.cat([self._operate(op, images[rows], u[rows]) for op, rows in parts])
        return Augmented(views[there.argsort()])

    def _operate(self, operation: int, images: Tensor, u: Tensor) -> Tensor:
        apply = (self._scale, self._rotate, self._flip, self._colour, self._crop, self._cutout)
        view = apply[operation](working(images).flatten(0, 1), u.flatten(0, 1)[:, 1:])
        return view.view_as(images).to(images.dtype)

    def _scale(self, images: Tensor, u: Tensor) -> Tensor:
        factor = between(u, 1 / self.scale, self.scale)
        return stretch(images, down=factor[:, 1], right=factor[:, 0])

    def _rotate(self, images: Tensor, u: Tensor) -> Tensor:
        return rotate(images, (u[:, 0] - 0.5) * 2 * math.radians(self.rotate))

    def _flip(self, images: Tensor, u: Tensor) -> Tensor:
        return torch.where(u[:, 0, None, None, None] < self.flip, images.flip(-1), images)

    def _colour(self, images: Tensor, u: Tensor) -> Tensor:
        bright, saturate, contrast = u[..., None, None, None].unbind(1)
        images = images + (bright - 0.5) * self.brightness
        grey = images.mean(dim=1, keepdim=True)
        images = torch.lerp(grey, images, (saturate * self.saturation).to(images.dtype))
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        return torch.lerp(mean, images, (contrast + self.contrast).to(images.dtype))

    def _crop(self, images: Tensor, u: Tensor) -> Tensor:
        down, right = (
            integers(u[:, axis], 2 * reach + 1) - reach
            for axis, reach in enumerate(nearest(side * self.crop) for side in images.shape[-2:])
        )
        return shift(images, down, right)

    def _cutout(self, images: Tensor, u: Tensor) -> Tensor:
        h, w = images.shape[-2:]
        return images.masked_fill(squares(u, self.cutout, h, w).mask(h, w), 0)
