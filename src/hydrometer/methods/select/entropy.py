"""Entropy: how spread out a network's prediction is."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hydrometer.methods.select.averaged import by_average
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def entropy(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep images by the entropy of clean predictions, averaged over `runs` networks.

    Direction: the original, for active learning, keeps the highest, `policy=hard`; so does DeepCore
    when balanced, but not when unbalanced, by mistake. The default is `easy`: the best pruned sets at
    the budgets of compression have the lowest entropy (arXiv 2502.06434).

    Shannon entropy in nats; Settles, "Active Learning Literature Survey" (2009).
    """
    return by_average(
        source,
        budget,
        lambda seen: shannon(seen.logits),
        method=Spec("entropy"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        rng=rng,
    )


def shannon(logits: Tensor) -> Tensor:
    """-sum p log p of the softmax, (n,) float64."""
    log_p = logits.double().log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)
