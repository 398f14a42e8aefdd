"""Methods: callables `(source, budget, *, rng) -> CompressedSet`, one per file.

A method never sees the test split, takes every random draw from `rng`, and fills the budget exactly.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np

from hydrometer.methods import codec
from hydrometer.methods import trust as trusts
from hydrometer.methods.budget import per_class
from hydrometer.methods.codec import Codec
from hydrometer.methods.trust import wrapper
from hydrometer.registry import build
from hydrometer.sources import sealed
from hydrometer.sources.noise import NoisySource
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec

RAW = Codec()


def compress(
    source: Source,
    spec: Spec,
    budget: Budget,
    *,
    trust: Spec | None = None,
    stored_as: Codec = RAW,
    teacher: int = 0,
    rng: np.random.Generator,
    seed: int | None = None,
) -> CompressedSet:
    """Run a method on a source whose test split is sealed; `seed` is written on the card.

    With `trust`, the method gets only the images whose labels that estimator believes, or could mend.
    The draws of the method are the same with and without it; the estimator's own belong to `seed`. The
    set's images are as `stored_as` keeps them, and a budget in bytes counts them so, together with a
    teacher of `teacher` bytes.
    """
    if budget.per_class is not None:
        # Before any training; bytes may buy fewer images than a plain selection would get.
        per_class(source, budget)

    def make(affordable: Budget) -> CompressedSet:
        # A copy, so that every attempt at a number of images draws the same.
        draws = copy.deepcopy(rng)
        if trust is not None:
            return _from_trusted(source, spec, affordable, trust, seed or 0, draws)
        return _made(spec, sealed(source), affordable, draws)

    made = codec.within(make, budget, stored_as, teacher)
    notes = source.notes if isinstance(source, NoisySource) else ()
    update = {"seed": seed, "notes": (*made.card.notes, *notes)}
    return dataclasses.replace(made, card=made.card.model_copy(update=update))


def _from_trusted(
    source: Source, spec: Spec, budget: Budget, trust: Spec, seed: int, rng: np.random.Generator
) -> CompressedSet:
    wanted = sum(per_class(source, budget))
    report = trusts.estimate(source, trust, wanted=wanted, seed=seed)
    seen = wrapper.trusted(sealed(source), report)
    share = wrapper.affordable(source, seen, budget)
    made = _made(spec, seen, share, rng)
    return wrapper.credited(made, source, report, budget, str(trust))


def _made(spec: Spec, source: Source, budget: Budget, rng: np.random.Generator) -> CompressedSet:
    made = build("method", spec, source, budget, rng=rng)
    if not isinstance(made, CompressedSet):
        raise HydrometerError(
            f"method {str(spec)!r} returned {type(made).__name__} instead of a CompressedSet"
        )
    return made
