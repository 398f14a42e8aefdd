"""The multi-layer perceptron of the cross-architecture tables."""

from __future__ import annotations

import math

from torch import nn

from hydrometer.registry import register
from hydrometer.students import Count, Shape


@register("student")
def mlp(shape: Shape, classes: int, *, width: Count = 128) -> nn.Module:
    """Two hidden ReLU layers of `width` units, as in Dataset Condensation (arXiv 2006.05929)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )
