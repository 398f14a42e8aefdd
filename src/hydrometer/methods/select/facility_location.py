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

BLOCK = 1024
"""Rows of similarities looked at together."""
TIE = 1e-5
"""Difference of gains that is taken for rounding, as a share of the medoid's mean similarity."""


@register("method")
def facility_location(
    source: Source, budget: Budget, *, features: str = "network", rng: np.random.Generator
) -> CompressedSet:
    """Keep, class by class, the images that maximise sum_i max_{j kept} s_ij.

    Direction: a greedy order, and the only one; the first image is the class's medoid. s_ij is
    (1 + cos) / 2 of `features`, `network` or `pixels`. Selections are nested. Duplicates of kept
    images gain nothing and come last.

    Mirzasoleiman et al., "Distributed Submodular Maximization" (NeurIPS 2013); greedy is within
    1 - 1/e of the best. Public selectors measure
    similarity on gradients; `craig` is that.
    """
    found, seconds = points(source, features)

    def choose(members: Tensor, count: int) -> Tensor:
        size = len(members)
        return cover(tabled(cosine(found[members]), size), size, count)

    method = Spec("facility-location", (("features", features),))
    return greedy(source, budget, choose, method=method, seconds=seconds)


def cover(rows: Rows, size: int, count: int) -> Tensor:
    """Positions (count,) of greedy for sum_i max_{j in S} s_ij; the lowest position wins ties.

    Two images that are nearest to each other tie, so gains that differ by rounding count as equal.
    Gains are not summed anew but lowered, where a choice covers an image i better than before: what j
    could add at i falls by s_ij, clamped to the old and the new cover, minus the old. Fewer and fewer
    images change, so that k choices cost about log k sums over the whole table.
    """
    everyone = torch.arange(size)
    gain = torch.zeros(size, dtype=torch.float64)
    for part in torch.split(everyone, BLOCK):
        gain += rows(part).sum(0, dtype=gain.dtype)
    slack = TIE * gain.max() / size
    covered = torch.zeros(size)
    order: list[int] = []
    for _ in range(count):
        best = int((gain >= gain.max() - slack).nonzero()[0])
        now = torch.maximum(covered, rows(everyone[best : best + 1])[0])
        for part in torch.split((now > covered).nonzero().flatten(), BLOCK):
            old, new = covered[part, None], now[part, None]
            gain -= (rows(part).clamp(old, new) - old).sum(0, dtype=gain.dtype)
        gain[best] = -torch.inf
        covered = now
        order.append(best)
    return torch.tensor(order, dtype=torch.int64)
