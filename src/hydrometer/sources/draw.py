"""Seeded random rows of a source, shared by every baseline that needs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hydrometer import seeds
from hydrometer.types import HydrometerError, Source


def draw(source: Source, counts: Sequence[int], seed: int) -> Tensor:
    """Rows of `train`, `counts[c]` of each class c, without replacement, class by class.

    The rows of a class depend on the seed and the class alone, and a smaller count takes a prefix of
    a larger one.
    """
    return torch.cat(
        [
            draw_class(source, c, count, seeds.numpy_rng(seed, f"draw/{c}"))
            for c, count in enumerate(counts)
        ]
    )


def draw_class(source: Source, label: int, count: int, rng: np.random.Generator) -> Tensor:
    """`count` random rows of one class; more than the class holds is an error."""
    rows = (source.train.labels == label).nonzero().flatten()
    if count > len(rows):
        raise HydrometerError(
            f"{count} images of class {source.classes[label]!r} asked for, "
            f"but train holds {len(rows)}; lower the budget"
        )
    return rows[torch.from_numpy(rng.permutation(len(rows))[:count])]
