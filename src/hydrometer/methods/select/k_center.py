"""k-center: greedily keep the image that lies farthest from all kept so far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.observer import points
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def k_center(
    source: Source, budget: Budget, *, features: str = "network", rng: np.random.Generator
) -> CompressedSet:
    """Keep, class by class, the images that leave no other image far from a kept one.

    Direction: an order, and the only one; the first image is the one nearest to the class mean, each
    next the one farthest from its nearest kept image. `features` is `network` or `pixels`. Selections
    are nested. Duplicates of kept images come last, by row number, as do all of a class that does
    not vary.

    Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach"
    (ICLR 2018), algorithm 1, a 2-approximation of the smallest covering radius. Deviations: within
    each class rather than over all images, and started at the class mean, where the original starts
    from an already labelled pool and public code from a random image.
    """
    found, seconds = points(source, features)

    def choose(members: Tensor, count: int) -> Tensor:
        own = found[members]
        start = distances(own, own.mean(0, keepdim=True))
        return farthest_first(lambda i: distances(own, own[i : i + 1]), start, count)

    method = Spec("k-center", (("features", features),))
    return greedy(source, budget, choose, method=method, seconds=seconds)


def farthest_first(apart: Callable[[int], Tensor], start: Tensor, count: int) -> Tensor:
    """Positions (count,) in order of choice: argmin of `start` (n,), then argmax min distance.

    `apart(i)` is the distance (n,) of every point to point i. The lowest position wins ties.
    """
    order = [int(start.argmin())]
    gap = torch.full_like(start, torch.inf)
    for _ in range(count - 1):
        gap = torch.minimum(gap, apart(order[-1]))
        gap[order[-1]] = -torch.inf
        order.append(int(gap.argmax()))
    return torch.tensor(order, dtype=torch.int64)


def distances(points: Tensor, centre: Tensor) -> Tensor:
    """Euclidean distance (n,) of points (n, d) to one (1, d), exactly zero for equal ones."""
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(points, centre, compute_mode=mode).flatten()
