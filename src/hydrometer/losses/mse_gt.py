"""Squared distance to the soft labels, plus a little of the ground truth."""

from __future__ import annotations

from torch import Tensor

from hydrometer.losses import LossFn, required
from hydrometer.losses.cross_entropy import cross_entropy
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@register("loss")
def mse_gt(*, gamma: float = 0.025) -> LossFn:
    """Mean over classes of (s - t)^2, plus `gamma` times the cross entropy with the hard label.

    The loss of G-VBSM (arXiv 2311.17950) and EDC (arXiv 2404.13733), s and t being the logits of
    student and teacher.

    Raises:
        HydrometerError: Gamma is negative.
    """
    if gamma < 0:
        raise HydrometerError(f"gamma={gamma} is out of range; it must not be negative")
    truth = cross_entropy()

    def loss(logits: Tensor, soft: Tensor | None, labels: Tensor, /) -> Tensor:
        distance = (logits - required(soft, "mse-gt")).square().mean(-1)
        return distance + gamma * truth(logits, soft, labels)

    return loss
