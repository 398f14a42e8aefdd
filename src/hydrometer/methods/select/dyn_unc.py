"""Dyn-Unc: how much the label's probability moves within a few epochs."""

from __future__ import annotations

from functools import partial

import numpy as np

from hydrometer.methods.recording import Floats, windows
from hydrometer.methods.select.dynamics import at_least, by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def dyn_unc(
    source: Source,
    budget: Budget,
    *,
    policy: str = "hard",
    balance: str = "class",
    cutoff: float = 0.0,
    window: int = 10,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by the mean deviation of the label's probability in a sliding window, highest first.

    He et al., "Large-scale Dataset Pruning with Dynamic Uncertainty" (arXiv 2306.05175), window
    J = 10. A recording shorter than the window has a single window of all its epochs. The deviation
    is the population's, which orders as the sample's does.
    """
    at_least(min(epochs, window), 2, "dyn-unc")
    return by_dynamics(
        source,
        budget,
        partial(dyn_unc_scores, window=window),
        "label_probability",
        method=Spec("dyn-unc", (("window", window),)),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        rng=rng,
    )


def dyn_unc_scores(probabilities: Floats, *, window: int = 10) -> Floats:
    """Mean over windows of std_w(p_y): (e, n) to (n,)."""
    return np.asarray(windows(probabilities, window).std(-1).mean(0))
