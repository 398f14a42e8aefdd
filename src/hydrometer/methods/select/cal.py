"""CAL: contrastive images, whose neighbours are predicted differently."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.methods.select.neighbours import nearest
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec


@register("method")
def cal(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    neighbours: int = 10,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by the mean KL(p(neighbour) || p(image)), averaged over `runs` networks.

    Neighbours are the nearest other images of `train`, of any class, in feature space. Direction: the
    original, for active learning, keeps the highest, `policy=hard`; public code keeps the lowest by
    mistake. The default is `easy`, the lowest, because images at odds with their surroundings fail at
    the budgets of compression.

    Margatina et al., "Active Learning by Acquiring Contrastive Examples" (EMNLP 2021), algorithm 1.
    Deviation: neighbours come from all of `train`, not from an already labelled pool.

    Raises:
        HydrometerError: `neighbours` or `runs` is below 1, or a policy's argument is wrong.
    """
    if neighbours < 1:
        raise HydrometerError(f"neighbours={neighbours} is out of range; give at least 1")
    return by_average(
        source,
        budget,
        lambda seen: contrast(seen.features, seen.logits, neighbours),
        method=Spec("cal", (("neighbours", neighbours),)),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def contrast(features: Tensor, logits: Tensor, neighbours: int) -> Tensor:
    """Mean KL of each image's nearest neighbours to it, (n,) float64; zero for an only image."""
    _, near = nearest(features, neighbours)
    log_p = logits.double().log_softmax(1)
    total = torch.zeros(len(log_p), dtype=torch.float64)
    for other in near.T:
        total += (log_p[other].exp() * (log_p[other] - log_p)).sum(1)
    return total / max(1, near.shape[1])
