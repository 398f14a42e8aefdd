"""DeepFool: how far an image is from being taken for another class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.methods.select.observer import Seen, head, network
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def deepfool(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by their distance to the nearest decision boundary, averaged over `runs` networks.

    Direction: the original, for active learning, keeps the nearest, `policy=hard`. The default is
    `easy`, the farthest, because hard images fail at the budgets of compression. Difficulty is minus
    the distance. The label plays no part.

    Ducoffe and Precioso, "Adversarial Active Learning for Deep Networks: a Margin Based Approach"
    (2018), on Moosavi-Dezfooli et al., "DeepFool" (CVPR 2016), equation 8. Deviation: the distance is
    in the space of penultimate features, where the boundaries are planes and one step is exact;
    DeepFool walks in pixel space and needs k backward passes a step. The two differ by how much the
    network stretches space around each image.
    """

    def difficulty(seen: Seen) -> Tensor:
        weights = head(network(source, seen.seed), source.train.images)
        return -boundary_distances(seen.logits, weights)

    return by_average(
        source,
        budget,
        difficulty,
        method=Spec("deepfool"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def boundary_distances(logits: Tensor, weights: Tensor) -> Tensor:
    """Smallest over l of (f_0 - f_l) / ||w_0 - w_l||, (n,), 0 being the predicted class.

    `logits` is (n, k) and `weights` (k, d). A class that shares its weights with the predicted one
    has no boundary with it; where none has, as with one class, the distance is zero.
    """
    top = logits.argmax(1)
    gap = logits.gather(1, top.unsqueeze(1)) - logits
    apart = torch.cdist(weights, weights, compute_mode="donot_use_mm_for_euclid_dist")[top]
    nearest = torch.where(apart > 0, gap / apart, torch.inf).amin(1)
    return nearest.where(nearest.isfinite(), 0.0)
