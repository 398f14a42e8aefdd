"""Random selection: the floor of every comparison."""

from __future__ import annotations

import time

import numpy as np
import torch

from hydrometer.artifact.rows import from_rows
from hydrometer.methods.budget import per_class
from hydrometer.registry import register
from hydrometer.sources.draw import draw_class
from hydrometer.types import Budget, CompressedSet, Source


@register("method")
def random(source: Source, budget: Budget, *, rng: np.random.Generator) -> CompressedSet:
    """Images drawn uniformly without replacement within each class."""
    start = time.perf_counter()
    rows = [draw_class(source, c, n, rng) for c, n in enumerate(per_class(source, budget))]
    return from_rows(
        source,
        torch.cat(rows),
        method="random",
        budget=str(budget),
        seconds=time.perf_counter() - start,
    )
