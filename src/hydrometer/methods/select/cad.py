"""CAD: uncertainty at the end of a run as long as the student's own will be."""

from __future__ import annotations

from functools import partial

import numpy as np

from hydrometer.methods.recording import Floats, windows
from hydrometer.methods.select.dynamics import at_least, by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def cad(
    source: Source,
    budget: Budget,
    *,
    policy: str = "hard",
    balance: str = "class",
    cutoff: float = 0.0,
    window: int = 5,
    last: int = 3,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by the deviation of the label's probability in the last windows, highest first.

    CAD-Prune of "Hard Truths about Soft Labels" (arXiv 2604.18811), known to us second-hand: give
    `epochs` so that the recorded run takes as many steps as the students that will be trained on the
    set. The sizes of the window and the number of last windows are ours.
    """
    at_least(min(epochs, window), 2, "cad")
    at_least(last, 1, "cad")
    return by_dynamics(
        source,
        budget,
        partial(cad_scores, window=window, last=last),
        "label_probability",
        method=Spec("cad", (("last", last), ("window", window))),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        rng=rng,
    )


def cad_scores(probabilities: Floats, *, window: int = 5, last: int = 3) -> Floats:
    """Mean over the last windows of std_w(p_y): (e, n) to (n,)."""
    return np.asarray(windows(probabilities, window)[-last:].std(-1).mean(0))
