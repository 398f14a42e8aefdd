"""Sets of real images, named by their rows."""

from __future__ import annotations

from torch import Tensor

from hydrometer.artifact.container import make
from hydrometer.types import CompressedSet, Source


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
    """All of `train` as a set, its images not copied."""
    return make(
        source.train.images,
        source.train.labels,
        source=source,
        method="full",
        budget="fraction=1.0",
        seed=None,
        seconds=0.0,
        index=source.train.index,
    )
