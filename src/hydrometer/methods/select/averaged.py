"""From a score over what a trained network sees to a compressed set, averaged over networks."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.observer import Seen, see
from hydrometer.methods.select.scored import select
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec

Score = Callable[[Seen], Tensor]
"""Difficulty (n,) of every image of `train`, higher is harder."""


def by_average(
    source: Source,
    budget: Budget,
    score: Score,
    *,
    method: Spec,
    policy: str,
    balance: str,
    cutoff: float,
    runs: int,
    rng: np.random.Generator,
) -> CompressedSet:
    """The set that a policy keeps by a score averaged over the networks of seeds 0 to `runs` - 1.

    Raises:
        HydrometerError: `runs` is below 1, a feature or logit is NaN or infinite, or as
            `scored.select` does.
    """
    difficulty, seconds = averaged(source, runs, score)
    return select(
        source,
        budget,
        difficulty.numpy(),
        method=Spec(method.name, tuple(sorted([*method.args, ("runs", runs)]))),
        seconds=seconds,
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        rng=rng,
    )


def averaged(source: Source, runs: int, score: Score) -> tuple[Tensor, float]:
    """A score (n,) float64 averaged over networks, and the seconds that training and scoring took."""
    if runs < 1:
        raise HydrometerError(f"runs={runs} is out of range; give at least 1")
    total, seconds = torch.zeros(len(source.train), dtype=torch.float64), 0.0
    for seed in range(runs):
        seen = see(source, seed)
        start = time.perf_counter()
        total += score(seen)
        seconds += seen.seconds + time.perf_counter() - start
    return total / runs, seconds
