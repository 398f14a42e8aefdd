"""Sets of real images, named by their rows."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from hydrometer.artifact.container import make
from hydrometer.types import CompressedSet, Recipe, Source, Spec

LEAST_PROBABILITY = 1e-9
"""Of a target, so that its logarithm is finite."""


def from_rows(
    source: Source,
    rows: Tensor,
    *,
    method: str,
    budget: str,
    seed: int | None = None,
    seconds: float = 0.0,
    weights: Tensor | None = None,
) -> CompressedSet:
    """The images of some rows of `train`, in that order, with their labels and original row numbers."""
    return make(
        source.train.images[rows],
        source.train.labels[rows],
        source=source,
        method=method,
        budget=budget,
        seed=seed,
        seconds=seconds,
        weights=weights,
        index=source.train.index[rows],
    )


def whole(source: Source) -> CompressedSet:
    """All of `train` as a set under its labels, its images not copied."""
    return _every(source)


def believed(source: Source) -> CompressedSet:
    """All of `train` as a set, with weights and soft labels where its labels are believed unequally."""
    belief = source.train.belief
    if belief is None:
        return _every(source)
    return _every(source, belief.target.clamp(min=LEAST_PROBABILITY).log(), belief.weight)


def believing(recipe: Recipe, source: Source) -> Recipe:
    """The recipe for a student of `believed`: with soft labels where the source has them."""
    if source.train.belief is None:
        return recipe
    return replace(recipe, labels="given", loss=Spec("soft-cross-entropy"))


def _every(
    source: Source, soft: Tensor | None = None, weights: Tensor | None = None
) -> CompressedSet:
    return make(
        source.train.images,
        source.train.labels,
        source=source,
        method="full",
        budget="fraction=1.0",
        seed=None,
        seconds=0.0,
        soft=soft,
        weights=weights,
        index=source.train.index,
    )
