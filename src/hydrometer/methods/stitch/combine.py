"""How many sources share a composite, and which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hydrometer.types import HydrometerError, Source

LARGEST_WHOLE_SIDE = 64
"""Up to this side, images lose too much when they are shrunk: f = 1 unless asked for."""
GROUPINGS = ("consecutive", "strided", "diverse")


def tiles_a_side(factor: int, source: Source) -> int:
    """The factor, or for 0 the default: 2 above 64 pixels, else 1.

    Raises:
        HydrometerError: The factor is negative, or larger than the images.
    """
    side = min(source.shape[1:])
    if not 0 <= factor <= side:
        raise HydrometerError(f"factor={factor} is out of range; 1 to {side}, or 0 for the default")
    return factor or (2 if side > LARGEST_WHOLE_SIDE else 1)


def sources_needed(source: Source, counts: Sequence[int], factor: int) -> list[int]:
    """Sources of each class that fill `counts` composites of factor x factor.

    Raises:
        HydrometerError: A class of train holds fewer.
    """
    sizes = np.bincount(source.train.labels.numpy(), minlength=len(source.classes))
    for name, count, size in zip(source.classes, counts, sizes, strict=True):
        if count * factor**2 > size:
            raise HydrometerError(
                f"{count} composites of {factor} x {factor} need {count * factor**2} images of "
                f"class {name!r}, but train holds {size}; lower the budget or the factor"
            )
    return [count * factor**2 for count in counts]


def check_grouping(grouping: str) -> None:
    """Refuse a grouping that `group` does not know."""
    if grouping not in GROUPINGS:
        raise HydrometerError(f"grouping {grouping!r} is unknown; known: {', '.join(GROUPINGS)}")


def group(points: Tensor, factor: int, grouping: str) -> Tensor:
    """Rows (m, f²) of the sources of each composite, each of `points` (m f², d) in exactly one.

    `consecutive` fills composite j with sources f²j, f²j + 1, ..., as the released Combine step
    does; `strided` with j, j + m, j + 2m, ..., as RDED does; `diverse` spreads like with unlike.
    """
    check_grouping(grouping)
    count = len(points) // factor**2
    if grouping == "diverse":
        return _spread(points, count, factor**2)
    order = torch.arange(len(points))
    if grouping == "strided":
        return order.view(factor**2, count).T
    return order.view(count, factor**2)


def _spread(points: Tensor, count: int, size: int) -> Tensor:
    """Groups whose members lie far apart: greedy k-center inside each, all growing in turn.

    The first `count` points open the groups; then each group in order takes the free point farthest
    from its nearest member, ties to the first. Growing in turn leaves no group with the leavings.
    """
    groups = torch.full((count, size), -1)
    groups[:, 0] = torch.arange(count)
    near = torch.cdist(points[:count], points)
    free = torch.arange(len(points)) >= count
    for place in range(1, size):
        for owner in range(count):
            chosen = int(near[owner].masked_fill(~free, -1).argmax())
            groups[owner, place], free[chosen] = chosen, False
            near[owner] = near[owner].minimum((points - points[chosen]).norm(dim=1))
    return groups
