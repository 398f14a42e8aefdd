"""DUAL: images that are uncertain and difficult early in training."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from scipy.stats import beta

from hydrometer.methods.budget import per_class
from hydrometer.methods.recording import Floats, record, windows
from hydrometer.methods.select.dynamics import at_least, recorded
from hydrometer.methods.select.policy import (
    CONCENTRATION,
    EXPONENT,
    beta_parameter,
    sampling_keys,
)
from hydrometer.methods.select.scored import select
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec

TOP = 10
"""Images of the highest score whose mean probability is where the density starts."""


@register("method")
def dual(
    source: Source,
    budget: Budget,
    *,
    policy: str = "beta",
    balance: str = "class",
    cutoff: float = 0.0,
    window: int = 10,
    exponent: float = EXPONENT,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep by uncertainty times difficulty; with `policy=beta` draw, else highest first with `hard`.

    Cho et al., "Lightweight Dataset Pruning without Full Training via Example Difficulty and
    Prediction Uncertainty" (DUAL, arXiv 2502.06905), window J = 10. `beta` is its own sampling, with
    weight Beta(mean p_y; 16 - b, b) times the score, which spares the hardest where much is pruned;
    `exponent` is its c, 4 for small images and 11 for ImageNet. The paper records 30 epochs on small
    images and 60 on ImageNet, and is not balanced: `balance=global`.
    """
    at_least(min(epochs, window), 2, "dual")
    recording = record(source, runs=runs, epochs=epochs, passes=passes)
    start = time.perf_counter()
    scores = recording.score(partial(dual_scores, window=window), "label_probability")
    args: dict[str, Scalar] = {"exponent": exponent, "window": window, "policy": policy}
    difficulty = scores
    if policy == "beta":
        if cutoff:
            raise HydrometerError(f"cutoff {cutoff} does nothing under policy=beta; leave it at 0")
        means = recording.score(lambda p: np.asarray(p.mean(0)), "label_probability")
        kept = sum(per_class(source, budget)) / len(scores)
        difficulty = sampling_keys(dual_weights(scores, means, 1 - kept, exponent), rng)
    return select(
        source,
        budget,
        difficulty,
        method=recorded(Spec("dual", tuple(args.items())), runs, epochs, passes),
        seconds=recording.seconds + time.perf_counter() - start,
        policy="hard" if policy == "beta" else policy,
        balance=balance,
        cutoff=cutoff,
        scores=scores,
        notes=(recording.note,),
        rng=rng,
    )


def dual_scores(probabilities: Floats, *, window: int = 10) -> Floats:
    """Mean over windows of std_w(p_y) (1 - mean_w(p_y)): (e, n) to (n,)."""
    stretches = windows(probabilities, window)
    return np.asarray((stretches.std(-1) * (1 - stretches.mean(-1))).mean(0))


def dual_weights(scores: Floats, means: Floats, prune_rate: float, exponent: float) -> Floats:
    """Sampling weights (n,) from scores and mean label probabilities (n,) at a prune rate."""
    top = np.argsort(-scores, kind="stable")[:TOP]
    b = beta_parameter(prune_rate, float(means[top].mean()), exponent)
    # The density has a pole at one, which an image learnt at once reaches in half precision.
    inside = np.clip(means, 1e-6, 1 - 1e-6)
    return np.asarray(beta.pdf(inside, CONCENTRATION - b, b) * scores)
