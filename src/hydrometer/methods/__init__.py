"""Methods: callables `(source, budget, *, rng) -> CompressedSet`, one per file.

A method never sees the test split, takes every random draw from `rng`, and fills the budget exactly.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hydrometer.registry import build
from hydrometer.sources import sealed
from hydrometer.types import Budget, CompressedSet, Source, Spec


def compress(
    source: Source, spec: Spec, budget: Budget, *, rng: np.random.Generator, seed: int | None = None
) -> CompressedSet:
    """Run a method on a source whose test split is sealed; `seed` is only written on the card."""
    made: CompressedSet = build("method", spec, sealed(source), budget, rng=rng)
    return dataclasses.replace(made, card=made.card.model_copy(update={"seed": seed}))
