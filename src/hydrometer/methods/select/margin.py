"""Margin: how far a network's first choice is ahead of its second."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec


@register("method")
def margin(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by the margin p_(1) - p_(2) of clean predictions, averaged over `runs` networks.

    Direction: the original, for active learning, keeps the smallest margin, `policy=hard`. The
    default is `easy`, the largest margin, because hard images fail at the budgets of compression.
    Difficulty is minus the margin, in [-1, 0]. The label plays no part; AUM is the margin with it.

    Scheffer, Decomain and Wrobel, "Active Hidden Markov Models for Information Extraction" (IDA 2001).
    """
    return by_average(
        source,
        budget,
        lambda seen: -lead(seen.logits),
        method=Spec("margin"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def lead(logits: Tensor) -> Tensor:
    """Largest minus second largest softmax probability, (n,) float64.

    Raises:
        HydrometerError: There is but one class.
    """
    if logits.shape[1] < 2:
        raise HydrometerError("margin compares two classes, and the source has one")
    top = logits.double().softmax(1).topk(2).values
    return top[:, 0] - top[:, 1]
