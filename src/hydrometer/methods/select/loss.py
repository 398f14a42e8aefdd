"""Loss: mean cross entropy over training."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.recording import Floats
from hydrometer.methods.select.dynamics import by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def loss(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by the mean cross entropy of the label over epochs, lowest first.

    The simplest of the dynamics, with the order of small-loss selection: Jiang et al., "MentorNet"
    (ICML 2018); Han et al., "Co-teaching" (NeurIPS 2018), who apply it within batches.
    """
    return by_dynamics(
        source,
        budget,
        loss_scores,
        "loss",
        method=Spec("loss"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        rng=rng,
    )


def loss_scores(losses: Floats) -> Floats:
    """Mean over epochs of -log p_y: (e, n) to (n,)."""
    return np.asarray(losses.mean(0))
