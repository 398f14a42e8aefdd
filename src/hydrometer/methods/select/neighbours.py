"""Nearest neighbours among the points themselves."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 2**24
"""Distances held at once."""


def nearest(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances and rows (n, count) of the nearest other points of each, nearest first.

    Fewer when there are fewer others. Distances come from products of centred float32 points, so
    neighbours that differ by less than their rounding may change places.
    """
    count = min(count, len(points) - 1)
    centred = points - points.mean(0)
    squares = centred.square().sum(1)
    found = []
    for rows in torch.split(torch.arange(len(points)), max(1, BLOCK // len(points))):
        apart = squares[rows, None] + squares - 2 * centred[rows] @ centred.T
        apart[torch.arange(len(rows)), rows] = torch.inf
        found.append(apart.clamp_(min=0).topk(count, largest=False))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
