"""What a step minimises: the recipe's loss over hard, soft and mixed targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from hydrometer.losses import LossFn


class Target(NamedTuple):
    """What a batch is taught: labels (b,), optional logits (b, classes), and the mixed-in partner's.

    `share` (b,) is the weight of the own target where images are mixed; `weight` (b,) is the set's.
    """

    labels: Tensor
    soft: Tensor | None = None
    partner_labels: Tensor | None = None
    partner_soft: Tensor | None = None
    share: Tensor | None = None
    weight: Tensor | None = None


def objective(loss: LossFn, logits: Tensor, target: Target) -> Tensor:
    """Mean loss of a batch, targets mixed as the images are, weighted as the set says."""
    each = loss(logits, target.soft, target.labels)
    if target.share is not None and target.partner_labels is not None:
        other = loss(logits, target.partner_soft, target.partner_labels)
        each = target.share * each + (1 - target.share) * other
    if target.weight is None:
        return each.mean()
    return (target.weight * each).sum() / target.weight.sum().clamp(min=1e-12)


def parts(target: Target, count: int) -> Iterator[tuple[slice, Target, Tensor | float]]:
    """A batch in so many parts, as even as can be, each with its share of the batch's objective.

    The objectives of the parts, times their shares, add up to the objective of the whole. Parts of a
    batch that has fewer images may be empty; their share is 0.
    """
    images, weight = len(target.labels), target.weight
    for i in range(count):
        rows = slice(i * images // count, (i + 1) * images // count)
        part = Target(*(None if field is None else field[rows] for field in target))  # type: ignore[arg-type]
        share: Tensor | float = (rows.stop - rows.start) / images
        if weight is not None:
            share = weight[rows].sum() / weight.sum().clamp(min=1e-12)
        yield rows, part, share
