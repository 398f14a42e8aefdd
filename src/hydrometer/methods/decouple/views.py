"""The views of synthetic images that teachers are shown: random crops, rolled together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrometer.augment.geometry import CROP_DRAWS, crop_and_resize, crops
from hydrometer.types import Source


@dataclass(frozen=True)
class View:
    """One crop for each image, of at least `least` of its area, and one roll for all.

    A view is drawn once and may be taken of several batches; `draws` is None where images stay whole.
    """

    least: float
    draws: Tensor | None
    roll: tuple[int, int]

    def __call__(self, images: Tensor) -> Tensor:
        """The images (n, c, h, w) as this view shows them."""
        if self.draws is not None:
            h, w = images.shape[-2:]
            box = crops(self.draws.to(images.device), (self.least, 1.0), (3 / 4, 4 / 3), h, w)
            images = crop_and_resize(images, box)
        return images.roll(self.roll, (-2, -1))


def drawn(images: Tensor, least: float, rng: np.random.Generator) -> View:
    """A random view; it rolls by up to an eighth of the side: 4 pixels of 32, 28 of 224 (theirs: 32)."""
    draws = None
    if least < 1:
        draws = torch.from_numpy(rng.random((len(images), CROP_DRAWS), dtype=np.float32))
    most = images.shape[-1] // 8
    down, right = (int(n) for n in rng.integers(-most, most + 1, 2))
    return View(least, draws, (down, right))


def least_crop(source: Source, asked: float, small: float = 1.0) -> float:
    """The least area of a crop: as asked, else 0.08 above 32 pixels and `small` up to there."""
    return asked or (0.08 if min(source.shape[1:]) > 32 else small)
