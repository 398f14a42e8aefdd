"""Facility location: keep the images to one of which every other is similar."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.observer import points
from hydrometer.methods.select.similarity import Rows, cosine, tabled
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec

BATCH = 64


@register("method")
def facility_location(
    source: Source, budget: Budget, *, features: str = "network", rng: np.random.Generator
) -> CompressedSet:
    """Keep, class by class, the images that maximise sum_i max_{j kept} s_ij.

    Direction: a greedy order, and the only one; the first image is the class's medoid. s_ij is
    (1 + cos) / 2 of `features`, `network` or `pixels`. Selections are nested. Duplicates of kept
    images gain nothing and come last.

    Mirzasoleiman et al., "Distributed Submodular Maximization" (NeurIPS 2013), with the lazy
    evaluations of Minoux (1978); within 1 - 1/e of the best. Public selectors measure
    similarity on gradients; `craig` is that.
    """
    found, seconds = points(source, features)

    def choose(members: Tensor, count: int) -> Tensor:
        size = len(members)
        return cover(tabled(cosine(found[members]), size), size, count)

    method = Spec("facility-location", (("features", features),))
    return greedy(source, budget, choose, method=method, seconds=seconds)


def cover(rows: Rows, size: int, count: int) -> Tensor:
    """Positions (count,) of lazy greedy for sum_i max_{j in S} s_ij; the lowest position wins ties.

    Gains only fall as S grows, so an old gain bounds the new one, and only the images whose bound
    tops all others are looked at again.
    """
    covered = torch.zeros(size)
    bound = torch.full((size,), torch.inf, dtype=torch.float64)
    order: list[int] = []
    for _ in range(count):
        stale = bound > -torch.inf
        while stale[best := int(bound.argmax())]:
            batch = bound.masked_fill(~stale, -torch.inf).topk(min(BATCH, size)).indices
            batch = batch[stale[batch]]
            bound[batch] = (rows(batch) - covered).clamp_(min=0).sum(1, dtype=bound.dtype)
            stale[batch] = False
        covered = torch.maximum(covered, rows(torch.tensor([best]))[0])
        bound[best] = -torch.inf
        order.append(best)
    return torch.tensor(order, dtype=torch.int64)
