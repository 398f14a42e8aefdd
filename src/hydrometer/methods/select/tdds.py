"""TDDS: how unevenly the prediction moves from epoch to epoch."""

from __future__ import annotations

from functools import partial

import numpy as np

from hydrometer.methods.recording import Floats, windows
from hydrometer.methods.select.dynamics import at_least, by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def tdds(
    source: Source,
    budget: Budget,
    *,
    policy: str = "hard",
    balance: str = "class",
    cutoff: float = 0.0,
    window: int = 10,
    decay: float = 0.9,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by the smoothed unevenness of the prediction's movement, highest first.

    Zhang et al., "Spanning Training Progress: Temporal Dual-Depth Scoring" (CVPR 2024) and its
    public code: window J, decay 0.9. A window of J epochs has J - 1 movements; a recording shorter
    than the window has a single window. In the copy of the code that DUAL compares with, the window
    never moves.
    """
    at_least(min(epochs, window), 3, "tdds")
    return by_dynamics(
        source,
        budget,
        partial(tdds_scores, window=window, decay=decay),
        "shift",
        method=Spec("tdds", (("decay", decay), ("window", window))),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        rng=rng,
    )


def tdds_scores(shifts: Floats, *, window: int = 10, decay: float = 0.9) -> Floats:
    """sum_w decay (1 - decay)^(W - 1 - w) ||d_t - mean_w d||_2 over windows w: (e, n) to (n,).

    `shifts` are the movements d_t = sum_c |p_t log(p_t / p_{t-1})|; the first row has none before it.
    """
    stretches = windows(shifts[1:], window - 1)
    spread = stretches.std(-1) * np.sqrt(stretches.shape[-1])
    age = np.arange(len(spread))[::-1]
    return np.asarray(decay * (1 - decay) ** age @ spread)
