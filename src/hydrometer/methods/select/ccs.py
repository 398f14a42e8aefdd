"""CCS: cover all difficulties but the hardest, whose labels are doubtful."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from hydrometer.methods.budget import per_class
from hydrometer.methods.recording import Floats, record
from hydrometer.methods.select import named
from hydrometer.methods.select.aum import aum_difficulty
from hydrometer.methods.select.dynamics import recorded
from hydrometer.methods.select.policy import Rows, groups, keep, room, suspects
from hydrometer.methods.select.scored import gathered
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source, Spec


@register("method")
def ccs(
    source: Source,
    budget: Budget,
    *,
    score: str = "aum",
    strata: int = 50,
    balance: str = "class",
    cutoff: float | None = None,
    runs: int = 1,
    epochs: int = 10,
    passes: str = "clean",
    rng: np.random.Generator,
) -> CompressedSet:
    """Drop the lowest margins, then draw evenly from equal-width strata of a score.

    Zheng et al., "Coverage-centric Coreset Selection for High Pruning Rates" (ICLR 2023), algorithm
    1. The original tunes the cutoff for each rate; its README gives 0.3 for ImageNet when a tenth is
    kept. Here it is 0.3, or a third of what is pruned where that is less. The original is not
    balanced: `balance=global`. Its margins are of probabilities, these of logits.
    """
    named.checked(score)
    recording = record(source, runs=runs, epochs=epochs, passes=passes)
    start = time.perf_counter()
    difficulty = named.difficulty(recording, score)
    doubt = recording.score(aum_difficulty, "margin")
    labels, counts = source.train.labels.numpy(), per_class(source, budget)
    share = default_cutoff(labels, counts, balance) if cutoff is None else cutoff
    rows = ccs_rows(doubt, difficulty, labels, counts, share, strata, balance, rng=rng)
    args: dict[str, Scalar] = {
        "score": score,
        "strata": strata,
        "balance": balance,
        "cutoff": share,
    }
    return gathered(
        source,
        budget,
        rows,
        difficulty,
        method=recorded(Spec("ccs", tuple(args.items())), runs, epochs, passes),
        seconds=recording.seconds + time.perf_counter() - start,
        notes=(recording.note,),
    )


def ccs_rows(
    doubt: Floats,
    difficulty: Floats,
    labels: Rows,
    counts: Sequence[int],
    cutoff: float,
    strata: int,
    balance: str,
    *,
    rng: np.random.Generator,
) -> Rows:
    """Rows kept: without the `cutoff` most doubtful of each group, stratified by difficulty."""
    trusted = []
    for name, members, count in groups(labels, counts, balance):
        trusted.append(members[~suspects(doubt[members], cutoff)])
        room(name, len(members), len(trusted[-1]), count)
    rows: Rows = np.sort(np.concatenate(trusted))
    kept = keep(
        difficulty[rows],
        labels[rows],
        counts,
        policy="stratified",
        strata=strata,
        balance=balance,
        rng=rng,
    )
    return rows[kept]


def default_cutoff(labels: Rows, counts: Sequence[int], balance: str) -> float:
    """0.3, or a third of the least share that is pruned from any group."""
    shares = [count / max(1, len(m)) for _, m, count in groups(labels, counts, balance)]
    return min(0.3, (1 - max(shares)) / 3)
