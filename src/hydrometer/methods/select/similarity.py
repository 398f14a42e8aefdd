"""Similarities of the images of one class, by the row, so that no table must hold them all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

Rows = Callable[[Tensor], Tensor]
"""Similarities (b, n) to all n images of those at some positions (b,); symmetric, never negative."""
TABLE = 2**27
"""Numbers that may be held at once: half a gigabyte, or the table of a class of 11,585 images."""


def unit(points: Tensor) -> Tensor:
    """Points (n, d) scaled to length one; a point at the origin stays there, at cosine 0 to all."""
    return normalize(points, dim=1)


def cosine(points: Tensor) -> Rows:
    """(1 + cos) / 2 of points (n, d): in [0, 1], and positive semi-definite as log-det needs."""
    along = unit(points)
    return lambda batch: (along[batch] @ along.T).add_(1).div_(2)


def tabled(rows: Rows, size: int) -> Rows:
    """The same similarities of `size` images, computed once and looked up where the table fits."""
    if size * size > TABLE:
        return rows
    table = torch.empty(size, size, dtype=rows(torch.arange(1)).dtype)
    # Filled in place: pieces put together at the end would take twice the memory.
    for batch in torch.split(torch.arange(size), 1024):
        table[batch[0] : batch[-1] + 1] = rows(batch)
    return lambda batch: table[batch]
