"""EL2N: how far the prediction stays from the label, early in training."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.recording import Floats
from hydrometer.methods.select.dynamics import by_dynamics
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def el2n(
    source: Source,
    budget: Budget,
    *,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    student: str = "",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by the mean norm of the error, lowest first.

    Lowest first and balanced is Prune of PCA (Xiao et al., arXiv 2502.06434), for small budgets. The
    score is of Paul et al., "Deep Learning on a Data Diet" (NeurIPS 2021), who keep the highest:
    `policy=hard`. They take one early epoch of about ten runs; PCA sums the first ten epochs of one
    longer augmented run (`passes=augmented`). Here it is the mean over all epochs of `runs` clean runs,
    whose rate falls to nothing within them, of `student` or else of the field's network for the size.
    """
    return by_dynamics(
        source,
        budget,
        el2n_scores,
        "error_norm",
        method=Spec("el2n"),
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        runs=runs,
        epochs=epochs,
        passes=passes,
        student=student,
        rng=rng,
    )


def el2n_scores(error_norms: Floats) -> Floats:
    """Mean over epochs of ||softmax - onehot||_2: (e, n) to (n,), from 0 to sqrt(2)."""
    return np.asarray(error_norms.mean(0))
