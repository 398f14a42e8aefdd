"""Moderate: images at a middling distance from the centre of their class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def moderate(
    source: Source,
    budget: Budget,
    *,
    policy: str = "middle",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by their distance to the class's median feature, averaged over `runs` networks.

    Direction: the original keeps those nearest to the median distance, `policy=middle`, which is the
    default; `easy` keeps the nearest to the centre, `hard` the farthest.

    Xia et al., "Moderate Coreset" (ICLR 2023). Deviation: medians of distances are of each
    class, where public code ranks all classes together (`balance=global`) and returns the images to
    *drop*.
    """
    return by_average(
        source,
        budget,
        lambda seen: distances_to_centre(seen.features, source.train.labels),
        method=Spec("moderate"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def distances_to_centre(features: Tensor, labels: Tensor) -> Tensor:
    """||h_i - median of its class||, (n,), the median taken feature by feature."""
    found = torch.zeros(len(features))
    for label in torch.unique(labels):
        own = features[labels == label]
        found[labels == label] = (own - median(own)).norm(dim=1)
    return found


def median(points: Tensor) -> Tensor:
    """Median (d,) of each column of (n, d), halfway between the two middle ones if n is even."""
    # torch takes the lower of the two; of the negated points that is the upper.
    return (points.median(0).values - (-points).median(0).values) / 2
