"""Hold out rows of a labelled part by a rule that no seed of a user can move."""

from __future__ import annotations

import torch
from torch import Tensor

from hydrometer import seeds

VAL_PERCENT = 10
VAL_PURPOSE = "val@1"
VAL_RULE = f"stratified {VAL_PERCENT} % of train, philox key {VAL_PURPOSE!r}"


def held_out(labels: Tensor, percent: int, purpose: str) -> Tensor:
    """Mark `percent` of the rows of every class, and at least one where a class has two or more.

    The rows of a class are ranked by the Philox draw of their row number under the key of
    `purpose`; equal draws keep row order. The mark therefore depends on labels and purpose alone.

    Args:
        labels: Shape (n,), int64.
        percent: Share of each class, rounded half up.
        purpose: Names the stream of draws; rules with different purposes are independent.

    Returns:
        Shape (n,), bool; true where the row is held out.
    """
    draws = seeds.uniform([seeds.key(0, purpose)], 0, 1, len(labels))[0, 0]
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        rows = (labels == label).nonzero().flatten()
        ranked = rows[torch.argsort(draws[rows], stable=True)]
        held[ranked[: _share(len(rows), percent)]] = True
    return held


def _share(count: int, percent: int) -> int:
    rounded = (count * percent + 50) // 100
    return max(rounded, 1) if count > 1 else 0
