"""Graph cut: keep images that are similar to the class and not to each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.observer import points
from hydrometer.methods.select.similarity import unit
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec


@register("method")
def graph_cut(
    source: Source,
    budget: Budget,
    *,
    features: str = "network",
    representation: float = 2.0,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep, class by class, the images that maximise c sum_{i, j kept} s_ij - sum_{i, j kept} s_ij.

    The first sum runs over all i of the class, the second over kept i. Direction: a greedy order,
    and the only one. s_ij is (1 + cos) / 2 of `features`, `network` or `pixels`; c is
    `representation`, and from 2 on no image lowers the objective. Selections are nested.

    Iyer et al., "Submodular Combinatorial Information Measures" (ALT 2021). Public code takes
    c = 1 and measures similarity on gradients.

    Raises:
        HydrometerError: `representation` is negative.
    """
    if representation < 0:
        raise HydrometerError(f"representation={representation} is out of range; give at least 0")
    found, seconds = points(source, features)

    def choose(members: Tensor, count: int) -> Tensor:
        return cut(found[members], count, representation)

    method = Spec("graph-cut", (("features", features), ("representation", representation)))
    return greedy(source, budget, choose, method=method, seconds=seconds)


def cut(points: Tensor, count: int, representation: float) -> Tensor:
    """Positions (count,) by the gain c sum_i s_ix - 2 sum_{j kept} s_jx - s_xx, lowest on ties.

    Column sums come from the sum of the unit vectors, so no table of similarities is needed.
    """
    along = unit(points)
    columns = (len(points) + along @ along.sum(0)) / 2
    own = (1 + along.square().sum(1)) / 2
    gain = representation * columns - own
    order: list[int] = []
    for _ in range(count):
        best = int(gain.argmax())
        gain -= 1 + along @ along[best]
        gain[best] = -torch.inf
        order.append(best)
    return torch.tensor(order, dtype=torch.int64)
