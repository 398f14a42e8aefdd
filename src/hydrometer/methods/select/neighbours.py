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
    n, count = len(points), min(count, len(points) - 1)
    centred = points - points.mean(0)
    squares = centred.square().sum(1)
    distances, found = points.new_empty(n, count), torch.empty(n, count, dtype=torch.int64)
    # All memory is taken once: small results between large temporaries would keep these from reuse.
    height = min(n, max(1, BLOCK // n))
    products, apart = points.new_empty(height, n), points.new_empty(height, n)
    for rows in torch.split(torch.arange(n), height):
        product, block = products[: len(rows)], apart[: len(rows)]
        torch.mm(centred[rows], centred.T, out=product)
        torch.add(squares[rows, None], squares, out=block).sub_(product, alpha=2)
        block[torch.arange(len(rows)), rows] = torch.inf
        distances[rows], found[rows] = block.clamp_(min=0).topk(count, largest=False)
    return distances, found
