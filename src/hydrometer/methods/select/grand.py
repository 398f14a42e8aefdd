"""GraNd: the length of an image's loss gradient."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.methods.select.last_layer import errors
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def grand(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by the norm of their loss gradient, averaged over `runs` networks.

    Direction: the original keeps the highest, `policy=hard`. The default is `easy`, because hard
    images fail at the budgets of compression.

    Paul, Ganguli and Dziugaite, "Deep Learning on a Data Diet" (NeurIPS 2021), definition 2.1.
    Deviations: the gradient of the last layer and its bias, exact, instead of all weights; and of
    briefly trained networks, where the original averages over ten early in training.
    """
    return by_average(
        source,
        budget,
        lambda seen: gradient_norms(seen.features, seen.logits, source.train.labels),
        method=Spec("grand"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def gradient_norms(features: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """||softmax - onehot|| sqrt(1 + ||h||^2), (n,), of features (n, d) and logits (n, k)."""
    squares = errors(logits, labels).square().sum(1) * (1 + features.square().sum(1))
    return squares.sqrt()
