"""Contextual diversity: k-center in the space of predictions."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.k_center import farthest_first
from hydrometer.methods.select.observer import see
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def contextual_diversity(
    source: Source, budget: Budget, *, rng: np.random.Generator
) -> CompressedSet:
    """Keep, class by class, the images whose predicted distributions cover those of the others.

    Direction: an order, and the only one; the first image is the one whose prediction is nearest to
    the class's mean prediction, each next the farthest from its nearest kept one. Selections are
    nested; equal predictions go by row number.

    Agarwal et al., "Contextual Diversity for Active Learning" (ECCV 2020), for
    classification: one predicted distribution per image. Deviations: within each class, and with the
    first image fixed, where public code draws it at random.
    """
    seen = see(source)
    log_p = seen.logits.double().log_softmax(1)

    def choose(members: Tensor, count: int) -> Tensor:
        own = log_p[members]
        mean = own.logsumexp(0) - math.log(len(own))
        start = symmetric_divergence(own, mean)
        return farthest_first(lambda i: symmetric_divergence(own, own[i]), start, count)

    method = Spec("contextual-diversity")
    return greedy(source, budget, choose, method=method, seconds=seen.seconds)


def symmetric_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(KL(p || q) + KL(q || p)) / 2 of log-probabilities (n, k) and (k,): (n,), never negative."""
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1) / 2
