"""Batches of real images, arranged by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrometer.engine.data import Images, Lens
from hydrometer.types import Source


@dataclass(frozen=True)
class Layout:
    """Rows arranged by class, padded to the largest class so that all classes share one tensor.

    `rows` is (k, b) int64; `share` is (k, b) float32, each row's part in the mean of its class: it
    sums to one in every class and is zero where there is padding.
    """

    rows: Tensor
    share: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Means (k, d) of each class's values, from (k, b, d)."""
        return (values * self.share[..., None]).sum(1)


def arrange(groups: Sequence[Tensor], weight: Tensor | None = None) -> Layout:
    """The layout of one group of rows, at least one, for each class; shares go by `weight` (n,)."""
    width = max(map(len, groups))
    rows = torch.stack([torch.cat([g, g[:1].expand(width - len(g))]) for g in groups])
    sizes = torch.tensor([len(g) for g in groups], device=rows.device)[:, None]
    held = torch.arange(width, device=rows.device) < sizes
    if weight is None:
        return Layout(rows, held / sizes)
    part = held * weight.to(rows.device)[rows]
    return Layout(rows, part / part.sum(1, keepdim=True))


class Sampler:
    """Random real images of the classes that are learned, whitened, on the device.

    Where labels of the source are believed unequally, images count by weight in the mean of their
    class; those drawn are as without. Both by weight would count it twice.
    """

    def __init__(
        self, source: Source, lens: Lens, labels: Sequence[int], rng: np.random.Generator
    ) -> None:
        self.images = Images(source.train.images, lens)
        belief, train = source.train.belief, source.train
        self.weight = None if belief is None else belief.weight
        able = torch.ones(len(train), dtype=torch.bool) if belief is None else belief.weight > 0
        self.groups = [((train.labels == c) & able).nonzero().flatten() for c in labels]
        self.device, self.rng = lens.device, rng

    def draw(self, count: int) -> tuple[Tensor, Layout]:
        """Images (k, b, c, h, w), `count` of each class or all it has, without replacement."""
        drawn = [
            g[torch.from_numpy(self.rng.choice(len(g), min(count, len(g)), replace=False))]
            for g in self.groups
        ]
        layout = arrange(drawn, self.weight)
        images = self.images[layout.rows.flatten()]
        return images.view(*layout.rows.shape, *images.shape[1:]), Layout(
            layout.rows.to(self.device), layout.share.to(self.device)
        )
