"""Least confidence: how little a network commits itself."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def least_confidence(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by 1 - max p of clean predictions, averaged over `runs` networks.

    Direction: the original, for active learning, keeps the highest, `policy=hard`. The default is
    `easy`, because hard images fail at the budgets of compression. The label plays no part: an image
    that is surely wrong counts as easy.

    Lewis and Gale, "A Sequential Algorithm for Training Text Classifiers" (SIGIR 1994). Public code
    takes the largest *logit*, which is no confidence; this takes the probability.
    """
    return by_average(
        source,
        budget,
        lambda seen: doubt(seen.logits),
        method=Spec("least-confidence"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def doubt(logits: Tensor) -> Tensor:
    """1 - max softmax, (n,) float64, with its digits kept where confidence is near 1."""
    return -logits.double().log_softmax(1).amax(1).expm1()
