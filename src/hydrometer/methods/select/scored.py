"""From difficulties to a compressed set: policy, budget, card."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hydrometer.artifact.rows import from_rows
from hydrometer.methods.budget import per_class
from hydrometer.methods.select.policy import keep
from hydrometer.registry import parse
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec

_OPTIONS = {"window": "offset", "stratified": "strata"}
"""The one argument that a policy takes, where it takes one."""


@dataclass(frozen=True)
class ScoredSet(CompressedSet):
    """A set that still knows the scores it was chosen by, for its manifest: `scores` (n,) float64."""

    scores: Tensor | None = None


def select(
    source: Source,
    budget: Budget,
    difficulty: ArrayLike,
    *,
    method: Spec,
    seconds: float,
    policy: str = "easy",
    balance: str = "class",
    cutoff: float = 0.0,
    scores: ArrayLike | None = None,
    notes: Sequence[str] = (),
    rng: np.random.Generator,
) -> CompressedSet:
    """The images of `train` that a policy keeps, with the cost of their scores on the card.

    `difficulty` is (n,) over `train`, higher is harder; `method` goes on the card with `policy`,
    `balance` and `cutoff` added to its arguments; `seconds` is what the scores took. `policy` is a
    name of `policy.keep`, or `window(offset=0.1)`, or `stratified(strata=50)`. `scores` (n,) go into
    the manifest instead of the difficulties, where these are keys of a draw.

    Raises:
        HydrometerError: As `policy.keep` does, or the policy takes no such argument.
    """
    start = time.perf_counter()
    name, options = read_policy(policy)
    rows = keep(
        difficulty,
        source.train.labels.numpy(),
        per_class(source, budget),
        policy=name,
        balance=balance,
        cutoff=cutoff,
        rng=rng,
        **options,
    )
    how: dict[str, Scalar] = {"policy": policy, "balance": balance, "cutoff": cutoff}
    return gathered(
        source,
        budget,
        rows,
        difficulty if scores is None else scores,
        method=Spec(method.name, tuple(sorted({**how, **method.kwargs}.items()))),
        seconds=seconds + time.perf_counter() - start,
        notes=notes,
    )


def gathered(
    source: Source,
    budget: Budget,
    rows: ArrayLike,
    scores: ArrayLike,
    *,
    method: Spec,
    seconds: float,
    notes: Sequence[str] = (),
) -> CompressedSet:
    """The set of some rows of `train`, in that order, with the scores (n,) of all of `train`."""
    picked = torch.from_numpy(np.array(rows, dtype=np.int64))
    made = from_rows(source, picked, method=str(method), budget=str(budget), seconds=seconds)
    known: dict[str, Any] = {field.name: getattr(made, field.name) for field in fields(made)}
    known["card"] = made.card.model_copy(update={"notes": (*made.card.notes, *notes)})
    every = torch.from_numpy(np.array(scores, dtype=np.float64))
    return ScoredSet(**known, scores=every[picked])


def read_policy(text: str) -> tuple[str, dict[str, Any]]:
    """A policy's name and the keyword of `policy.keep` it sets, from `window(offset=0.1)` and such."""
    spec = parse(text)
    wrong = set(spec.kwargs) - {_OPTIONS.get(spec.name)}
    if wrong:
        takes = _OPTIONS.get(spec.name, "no arguments")
        raise HydrometerError(
            f"policy {text!r}: {min(wrong)} is unknown; {spec.name} takes: {takes}"
        )
    return spec.name, spec.kwargs
