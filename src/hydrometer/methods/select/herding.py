"""Herding: greedily keep the images whose mean feature follows the class mean."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.observer import points
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def herding(
    source: Source, budget: Budget, *, features: str = "network", rng: np.random.Generator
) -> CompressedSet:
    """Keep, class by class, the images that bring the running mean closest to the class mean.

    Direction: an order, and the only one: least distance first; public code takes the largest.
    `features` is `network` (penultimate layer of a briefly trained ConvNet) or `pixels`. Selections
    are nested: a smaller budget is a prefix of a larger one.

    Welling, "Herding Dynamical Weights to Learn" (ICML 2009); Rebuffi et al., "iCaRL" (CVPR 2017),
    algorithm 4. Deviation: features are not scaled to length one, as iCaRL's are.
    """
    found, seconds = points(source, features)

    def choose(members: Tensor, count: int) -> Tensor:
        return follow_mean(found[members], count)

    method = Spec("herding", (("features", features),))
    return greedy(source, budget, choose, method=method, seconds=seconds)


def follow_mean(points: Tensor, count: int) -> Tensor:
    """Rows in order of choice: argmin over the rest of ||k mean - (chosen sum + point)||, ties first.

    The constant ||k mean - sum||^2 drops out, which leaves one matrix-vector product per choice.
    """
    mean = points.mean(0)
    half_norms = points.square().sum(1) / 2
    taken = torch.zeros(len(points), dtype=torch.bool)
    total = torch.zeros_like(mean)
    order = []
    for k in range(1, count + 1):
        score = half_norms - points @ (k * mean - total)
        best = int(score.masked_fill(taken, torch.inf).argmin())
        taken[best] = True
        total += points[best]
        order.append(best)
    return torch.tensor(order, dtype=torch.int64)
