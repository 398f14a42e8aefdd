"""Forgetting: how often an image was learnt and lost again."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.recording import Floats
from hydrometer.methods.select.dynamics import at_least, by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def forgetting(
    source: Source,
    budget: Budget,
    *,
    policy: str = "hard",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by the number of forgetting events, most forgotten first; never learnt is hardest.

    Toneva et al., "An Empirical Study of Example Forgetting" (ICLR 2019): an image never learnt has
    been forgotten infinitely often. DeepCore and CCS count it as never forgotten, the easiest. Events
    are counted between clean passes after each epoch, where the paper sees an image only when it is
    trained on: `passes=augmented`. Ties are large; they go by row number.
    """
    at_least(epochs, 2, "forgetting")
    return by_dynamics(
        source,
        budget,
        forgetting_scores,
        "correct",
        method=Spec("forgetting"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        rng=rng,
    )


def forgetting_scores(correct: Floats) -> Floats:
    """Epochs after which a right answer turned wrong: (e, n) of 0 and 1 to (n,).

    An image never answered rightly gets e, more than any count, in place of infinity.
    """
    events = (correct[:-1] > correct[1:]).sum(0)
    return np.where(correct.any(0), events, len(correct)).astype(np.float64)
