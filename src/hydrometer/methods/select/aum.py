"""AUM: the area under the margin between the label and its best rival."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.recording import Floats
from hydrometer.methods.select.dynamics import by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def aum(
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
    """Keep by the mean logit margin, widest margin first.

    Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking" (NeurIPS
    2020). Low margins are suspected of wrong labels: `cutoff` drops them whatever the
    policy. CCS and DUAL's code take margins of probabilities; these are of logits, as in the paper.
    Threshold samples, the paper's way to choose the cutoff, are not made.
    """
    return by_dynamics(
        source,
        budget,
        aum_difficulty,
        "margin",
        method=Spec("aum"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        rng=rng,
    )


def aum_scores(margins: Floats) -> Floats:
    """Mean over epochs of z_y - max_{c != y} z_c: (e, n) to (n,), higher is easier."""
    return np.asarray(margins.mean(0))


def aum_difficulty(margins: Floats) -> Floats:
    """The same with its sign turned, so that higher is harder."""
    return -aum_scores(margins)
