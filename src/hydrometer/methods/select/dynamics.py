"""From a formula over recorded training dynamics to a compressed set."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hydrometer.methods.recording import Floats, record
from hydrometer.methods.select.scored import select
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec


def by_dynamics(
    source: Source,
    budget: Budget,
    formula: Callable[..., Floats],
    *fields: str,
    method: Spec,
    policy: str,
    balance: str,
    cutoff: float,
    runs: int,
    epochs: int,
    passes: str,
    student: str = "",
    rng: np.random.Generator,
) -> CompressedSet:
    """The set that a policy keeps by difficulties `formula(*fields)`, averaged over recorded runs.

    `formula` maps fields of `recording.Trace`, (epochs, n) each, to difficulties (n,), higher is
    harder. The card names `method` with every argument, and is charged for the recording even where
    that came from the cache.
    """
    recording = record(source, runs=runs, epochs=epochs, passes=passes, student=student)
    start = time.perf_counter()
    difficulty = recording.score(formula, *fields)
    return select(
        source,
        budget,
        difficulty,
        method=recorded(method, runs, epochs, passes, student),
        seconds=recording.seconds + time.perf_counter() - start,
        policy=policy,
        balance=balance,
        cutoff=cutoff,
        notes=(recording.note,),
        rng=rng,
    )


def recorded(method: Spec, runs: int, epochs: int, passes: str, student: str = "") -> Spec:
    """The method's spec with what it recorded among its arguments; defaults go without saying."""
    args: dict[str, Scalar] = {**method.kwargs, "runs": runs, "epochs": epochs}
    args |= {} if passes == "clean" else {"passes": passes}
    args |= {"student": student} if student else {}
    return Spec(method.name, tuple(sorted(args.items())))


def at_least(epochs: int, needed: int, score: str) -> None:
    """Refuse a recording too short for a score."""
    if epochs < needed:
        raise HydrometerError(
            f"{score} compares epochs: epochs is {epochs}, give at least {needed}"
        )
