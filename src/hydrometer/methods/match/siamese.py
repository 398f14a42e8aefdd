"""One view for real and synthetic images: the same draws are replayed on both."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.augment import Pipeline
from hydrometer.transfer import handed
from hydrometer.types import Spec

DSA = (Spec("dsa"),)


class Views:
    """Differentiable siamese augmentation, or none; every draw can be replayed."""

    def __init__(self, augment: bool, rng: np.random.Generator, device: torch.device) -> None:
        self.pipeline = Pipeline(DSA if augment else ())
        self.rng, self.device = rng, device

    def draw(self, groups: int, images: int = 1) -> Tensor:
        """Draws (groups, images, d): each group gets an operation, each of its images parameters.

        They stay on the host, which reads the operation from them.
        """
        shape = (groups, images, self.pipeline.draws)
        return torch.from_numpy(self.rng.random(shape, dtype=np.float32))

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Views of images (groups, b, c, h, w); one image's draws stand for all of a group."""
        if not self.pipeline.draws:
            return images
        there = handed(draws, images.device)
        return self.pipeline(images, there.expand(*images.shape[:2], -1), draws[:, 0]).images
