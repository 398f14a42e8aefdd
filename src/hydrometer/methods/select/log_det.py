"""Log-determinant: keep the images that span the largest volume."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.observer import points
from hydrometer.methods.select.similarity import Rows, cosine, unit
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec


@register("method")
def log_det(
    source: Source,
    budget: Budget,
    *,
    features: str = "network",
    ridge: float = 1e-4,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep, class by class, the images that maximise log det of their similarities.

    Direction: a greedy order, and the only one: most *unexplained* by those kept, first; public code
    has the sign wrong and takes the best explained. The kernel is (1 + cos) / 2 of `features`,
    `network` or `pixels`, plus `ridge` on its diagonal, so that duplicates have a volume too.
    Selections are nested; the first image of a class is its first, for all have the same kernel.

    Iyer et al., "Submodular Combinatorial Information Measures" (ALT 2021); the greedy steps of
    Chen et al., "Fast Greedy MAP Inference for Determinantal Point Process" (NeurIPS 2018),
    algorithm 1.

    Raises:
        HydrometerError: `ridge` is not positive.
    """
    if ridge <= 0:
        raise HydrometerError(f"ridge={ridge} is out of range; give more than 0")
    found, seconds = points(source, features)

    def choose(members: Tensor, count: int) -> Tensor:
        own = found[members].double()
        # Rounded, so that the unit vectors tie exactly and only a point at the origin stands out.
        diagonal = (1 + unit(own).square().sum(1).round()) / 2
        return span(cosine(own), diagonal, count, ridge)

    method = Spec("log-det", (("features", features), ("ridge", ridge)))
    return greedy(source, budget, choose, method=method, seconds=seconds)


def span(rows: Rows, diagonal: Tensor, count: int, ridge: float) -> Tensor:
    """Positions (count,) by the gain log(K_xx - K_xS K_SS^-1 K_Sx), the lowest position on ties.

    K is the kernel of `rows` and `diagonal` (n,), both float64, plus the ridge. `factor` (count, n)
    grows by one row of the Cholesky factor of K per choice; what is left of the diagonal is the
    argument of the logarithm.
    """
    factor = torch.zeros(count, len(diagonal), dtype=torch.float64)
    left = diagonal + ridge
    order: list[int] = []
    for k in range(count):
        best = int(left.argmax())
        row = rows(torch.tensor([best]))[0] - factor[:k, best] @ factor[:k]
        factor[k] = row / left[best].clamp(min=ridge).sqrt()
        left -= factor[k].square()
        left[best] = -torch.inf
        order.append(best)
    return torch.tensor(order, dtype=torch.int64)
